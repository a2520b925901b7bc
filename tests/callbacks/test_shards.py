from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch.utils.data import Subset

from nplight.callbacks import NeuronPathSearch, PathEvaluation
from nplight.data import DigitsDataModule, Shard
from nplight.errors import ArgumentError
from nplight.modules import ViTClassifier
from nplight.runs import image_rows, merge_shards
from nplight.store import RunFolder, sorted_parts
from tests.callbacks.digits_project import model
from tests.callbacks.foreign_project import OPTIONS, make_trainer

SHARDS = 8


class _KilledError(BaseException):
    pass


@pytest.fixture(scope="module")
def classifier() -> ViTClassifier:
    """In float32, where rounding depends on the images of a batch."""
    return model(10).float()


class SomeDigits(DigitsDataModule):
    def evaluation_data(self) -> Any:
        data, labels = super().evaluation_data()
        return Subset(data, range(120)), labels[:120]


def validate(module: ViTClassifier, run: Path, shard: Shard | None = None, **options: Any) -> None:
    data = SomeDigits(batch_size=5)
    data.shard = shard
    callbacks = [
        NeuronPathSearch(run_dir=run, methods=["activation", "gradient_activation"], **OPTIONS),
        PathEvaluation(run_dir=run, fractions=(0.5,), replicates=5),
    ]
    make_trainer(*callbacks, **options).validate(module, data, verbose=False)


def killed_after(parts: int, monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]) -> None:
    """Run `work` until it has written that many parts."""
    real, left = image_rows.write_part, iter(range(parts))

    def write(*args: Any, **kwargs: Any) -> None:
        if next(left, None) is None:
            raise _KilledError
        real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(image_rows, "write_part", write)
        with pytest.raises(_KilledError):
            work()


def results(run: Path) -> dict[str, bytes]:
    names = ("category_paths.json", "metrics.json", "metrics.csv", "comparison.md", "settings.json")
    files = {name: (run / name).read_bytes() for name in names}
    return files | {path.name: path.read_bytes() for path in (run / "paths").iterdir()}


@pytest.mark.parametrize("most_parts", [2, sorted_parts.MOST_PARTS])
def test_merged_shards_equal_one_run_also_after_one_was_killed_twice(
    tmp_path: Path, classifier: ViTClassifier, monkeypatch: pytest.MonkeyPatch, most_parts: int
) -> None:
    """Their parts are compacted, or stay as they are."""
    monkeypatch.setattr(sorted_parts, "MOST_PARTS", most_parts)
    validate(classifier, tmp_path / "whole")
    runs = [tmp_path / f"shard-{number}" for number in range(SHARDS)]
    for number, run in enumerate(runs):
        for parts in (1, 3) if number == 3 else ():
            killed_after(parts, monkeypatch, lambda: validate(classifier, tmp_path / "shard-3", Shard(3, SHARDS)))
        validate(classifier, run, Shard(number, SHARDS))
        assert {path.name for path in run.iterdir()} == {"paths", "settings.json", "shard.json", ".lock"}
    merge_shards([RunFolder(run) for run in reversed(runs)], RunFolder(tmp_path / "merged"))
    rows = {path.name: path.read_bytes() for path in (tmp_path / "merged" / "paths").iterdir()}
    validate(classifier, tmp_path / "merged")
    assert results(tmp_path / "merged") == results(tmp_path / "whole")
    assert rows.items() <= results(tmp_path / "merged").items()
    assert len(rows) == 2 * min(most_parts, 20)  # of two searches; 96 images are 20 batches


def test_a_finished_shard_searches_nothing_again(tmp_path: Path, classifier: ViTClassifier) -> None:
    validate(classifier, tmp_path, Shard(1, 9))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "paths").iterdir()}
    validate(classifier, tmp_path, Shard(1, 9))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "paths").iterdir()} == before


def test_what_a_shard_cannot_do_is_refused_by_name(tmp_path: Path, classifier: ViTClassifier) -> None:
    data = DigitsDataModule()
    data.shard = Shard(0, 2)
    jointly = {"name": "jointly", "method": "jas", "granularity": "category"}
    search = NeuronPathSearch(run_dir=tmp_path / "run", methods=[jointly], **OPTIONS)
    with pytest.raises(ArgumentError, match=r"`shard` 0/2 cannot search with granularity 'category' \(jointly\)"):
        make_trainer(search).validate(classifier, data, verbose=False)
    search = NeuronPathSearch(run_dir=tmp_path / "run", **OPTIONS)
    with pytest.raises(ArgumentError, match="`limit_val_batches` must not be set with `shard` 0/2"):
        make_trainer(search, limit_val_batches=1).validate(classifier, data, verbose=False)


def test_a_shard_of_images_to_predict(tmp_path: Path, classifier: ViTClassifier) -> None:
    for number in range(6):
        pixels = torch.randint(0, 256, (8, 8, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(number))
        Image.fromarray(pixels.numpy()).save(tmp_path / f"{number}.png")

    def predict(run: str, shard: Shard | None = None) -> None:
        data = DigitsDataModule(batch_size=2, predict_images=[str(tmp_path)])
        data.shard = shard
        search = NeuronPathSearch(run_dir=tmp_path / run, **OPTIONS)
        make_trainer(search).predict(classifier, data, return_predictions=False)

    predict("whole")
    predict("first", Shard(0, 2))
    predict("second", Shard(1, 2))
    merge_shards([RunFolder(tmp_path / name) for name in ("first", "second")], RunFolder(tmp_path / "merged"))
    whole, merged = (
        {path.name: path.read_bytes() for path in (tmp_path / name / "paths").iterdir()} for name in ("whole", "merged")
    )
    assert merged == whole
    assert json.loads((tmp_path / "first" / "shard.json").read_text())["shard"] == "0/2"
