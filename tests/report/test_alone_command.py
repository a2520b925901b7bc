"""`report RUN --alone` removes each neuron of a run's paths alone."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest
import torch

from nplight import CategoryPaths
from nplight.cli import main
from nplight.modules.model_of_run import ModelOfRun
from nplight.report import read_run
from nplight.report.alone_file import read_alone
from nplight.report.path_users import path_users
from nplight.store import RunFolder
from tests.report.test_shrink_command import make_run


@pytest.fixture(autouse=True)
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the first batch: all of them would take most of the time."""
    held_out = ModelOfRun.held_out
    monkeypatch.setattr(ModelOfRun, "held_out", lambda self: islice(held_out(self), 1))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = make_run(tmp_path / "run")
    neurons = torch.randint(256, (10, 6, 1), generator=torch.Generator().manual_seed(0))
    first = CategoryPaths(neurons, neurons.double(), torch.full((10,), 5), "frequency")
    second = CategoryPaths(neurons.flip(1), neurons.double(), torch.full((10,), 5), "frequency")
    RunFolder(folder).write_category_paths({"jas": {1: first}, "activation": {1: second}}, 1)
    (folder / "metrics.json").write_text('{"conditions": [], "methods": ["jas", "activation"]}')
    return folder


def test_every_neuron_of_every_search_is_measured(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    users = path_users(read_run(run))
    main(["report", str(run), "--alone"])
    shown = " ".join(capsys.readouterr().out.split())
    assert f"Removed alone: {run / 'removed_alone.json'}" in shown
    measured = read_alone(run)
    assert measured is not None
    listed = [(one.category, (one.layer, one.neuron)) for one in measured]
    assert listed == [(category, neuron) for category in range(10) for neuron in users[category]]
    assert f"of {len(measured)} neurons of a category" in shown
    assert sum({one.category: one.removed.images for one in measured}.values()) == 64
    content = json.loads((run / "removed_alone.json").read_text())
    assert (content["tokens"], content["draws"], content["seed"]) == ("path", 5, 0)


def test_a_run_whose_weights_are_gone_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("bundled:digits", "gone.safetensors"))
    with pytest.raises(SystemExit, match="2"):
        main(["report", str(run), "--alone"])
    assert "does not build its model and data" in " ".join(capsys.readouterr().err.split())
    assert not (run / "removed_alone.json").exists()


def test_a_run_without_paths_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "category_paths.json").unlink()
    with pytest.raises(SystemExit, match="2"):
        main(["report", str(run), "--alone"])
    assert "`alone` needs a run with category paths" in capsys.readouterr().err
