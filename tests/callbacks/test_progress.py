from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rich
from lightning.pytorch import Callback
from torch.utils.data import DataLoader

from nplight.callbacks import NeuronPathSearch, PathEvaluation, PathProgressBar, PathReport
from nplight.data.timed_loader import TimedLoader
from nplight.errors import ArgumentError
from tests.callbacks.digits_project import FewDigits, model
from tests.callbacks.foreign_project import OPTIONS, Foreign, make_trainer
from tests.conftest import Reference


@pytest.fixture(autouse=True)
def console() -> Iterator[None]:
    """What a bar makes of rich's one console is undone."""
    yield
    rich.reconfigure()


def printed(
    capsys: pytest.CaptureFixture[str],
    reference: Reference,
    loaders: list[DataLoader[Any]],
    folder: Path,
    bar: PathProgressBar,
    **options: Any,
) -> list[str]:
    """The lines of a validate with a mean fill, but for the tables."""
    callbacks = [
        NeuronPathSearch(run_dir=folder, **{**OPTIONS, **options}),
        PathEvaluation(run_dir=folder, fractions=(1.0,), replicates=0, fill="mean", draws=2),
        PathReport(run_dir=folder),
    ]
    trainer = make_trainer(*callbacks, bar, enable_progress_bar=True)
    trainer.validate(Foreign(reference.model), loaders, verbose=False)
    return [line for line in re.split(r"[\r\n]+", capsys.readouterr().out) if "images/s" in line]


def test_every_stage_is_one_line_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    lines = printed(capsys, reference, loaders, tmp_path, PathProgressBar())
    own = "Testing images' own paths"
    stages = ("Gathering references", "Searching paths", "Testing paths", own, "Reading paths")
    for line, stage in zip(lines, stages, strict=True):
        assert re.fullmatch(rf"{stage}: 100% in \d+:\d\d:\d\d, [\d.]+ images/s", line)
        assert len(line) <= 80
        assert not line.endswith(" 0.0 images/s")


def test_a_stage_that_lasts_says_what_is_left(
    capsys: pytest.CaptureFixture[str], reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    lines = printed(capsys, reference, loaders, tmp_path, PathProgressBar(every=0))
    shares = [line.split()[2] for line in lines if line.startswith("Searching paths")]
    assert shares == ["17%", "33%", "50%", "67%", "83%", "100%"]
    assert any(re.search(r"images/s, \d+:\d\d:\d\d left$", line) for line in lines)


def test_every_layer_of_a_joint_search_is_a_stage(
    capsys: pytest.CaptureFixture[str], reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    joint = {"method": "jas", "granularity": "category", "name": "joint"}
    lines = printed(capsys, reference, loaders, tmp_path, PathProgressBar(), methods=[joint])
    depth = len(reference.neurons[0])
    stages = [line.partition(":")[0] for line in lines]
    assert [stage for stage in stages if "layer" in stage] == [f"Searching layer {n + 1}/{depth}" for n in range(depth)]
    assert "Scoring paths" in stages


def test_a_terminal_has_a_bar_with_rate_and_time_left(
    capsys: pytest.CaptureFixture[str], reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    bar = PathProgressBar(console_kwargs={"force_terminal": True, "width": 80})
    lines = printed(capsys, reference, loaders, tmp_path, bar)
    for stage in ("Gathering references", "Searching paths", "Testing paths"):
        drawn = [line for line in lines if stage in line]
        assert drawn
        assert all("━" in line and re.search(r"\d:\d\d:\d\d", line) for line in drawn)
    assert not any(": 100% in" in line for line in lines)


def test_a_negative_time_is_refused() -> None:
    with pytest.raises(ArgumentError, match="`every` must be at least 0 seconds, got -1"):
        PathProgressBar(every=-1)


def test_the_progress_bar_counts_images_of_all_processes(reference: Reference, loaders: list[DataLoader[Any]]) -> None:
    bar = PathProgressBar()
    seen = []

    class Look(Callback):
        def on_validation_batch_end(self, trainer: Any, *_: Any, dataloader_idx: int = 0, **__: Any) -> None:
            speed = bar.configure_columns(trainer)[-1].render(bar.val_progress_bar)
            seen.append((bar.validation_description, bar.images_a_batch(), str(speed)))

    trainer = make_trainer(bar, Look(), enable_progress_bar=True)
    trainer.validate(Foreign(reference.model), loaders, verbose=False)
    assert [(name, size) for name, size, _ in seen] == [("Searching paths", 7)] * 6 + [("Testing paths", 7)] * 6
    assert all(text.endswith(" images/s") for _, _, text in seen)


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("waiting", [0.4, 0.63])
def test_a_loader_that_is_the_brake_is_named(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    waiting: float,
    terminal: bool,
) -> None:
    monkeypatch.setattr(TimedLoader, "waiting", waiting)
    bar = PathProgressBar(console_kwargs={"force_terminal": True, "width": 160} if terminal else {})
    trainer = make_trainer(NeuronPathSearch(run_dir=tmp_path, **OPTIONS), bar, enable_progress_bar=True)
    trainer.validate(model(10), FewDigits(batch_size=20), verbose=False)
    out = capsys.readouterr().out
    assert "Searching paths" in out
    assert ("images/s, 63% waiting for images" in out) == (waiting > 0.5)
    assert "40%" not in out
