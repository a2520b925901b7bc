"""`report RUN --names TABLE` names the neurons of a run's paths."""

from __future__ import annotations

from itertools import chain, islice
from pathlib import Path

import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits

from nplight import CategoryPaths
from nplight.cli import main
from nplight.modules.model_of_run import ModelOfRun, model_of_run
from nplight.report import FigureSettings, export_figures, read_run
from nplight.report.concept_file import read_names
from nplight.report.path_users import path_neurons
from nplight.results import neuron_values
from nplight.store import RunFolder
from tests.report.test_shrink_command import make_run


@pytest.fixture(autouse=True)
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the first batches: all of them would take most of the time."""
    for name in ("discover", "held_out"):
        batches = getattr(ModelOfRun, name)
        monkeypatch.setattr(ModelOfRun, name, lambda self, batches=batches: islice(batches(self), 1))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = make_run(tmp_path / "run")
    neurons = torch.randint(256, (10, 6, 1), generator=torch.Generator().manual_seed(0))
    whole = CategoryPaths(neurons, neurons.double(), torch.full((10,), 5), "frequency")
    RunFolder(folder).write_category_paths({"jas": {1: whole}}, 1)
    (folder / "metrics.json").write_text('{"conditions": []}')
    return folder


def test_a_neuron_is_named_by_a_word_that_follows_it(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    neurons = path_neurons(read_run(run))
    assert neurons == sorted(set(neurons))
    model = model_of_run(run)
    followed: dict[int, float] = {}
    for batch in chain(model.discover(), model.held_out()):
        assert batch.index is not None
        followed |= zip(batch.index.tolist(), neuron_values(model.vit, batch.images, neurons[:1])[:, 0].tolist())
    table = pd.DataFrame({"index": range(len(load_digits().target)), "number": range(len(load_digits().target))})
    table["follows"] = table["index"].map(followed).fillna(0.0)
    table.to_csv(tmp_path / "words.csv", index=False)
    main(["report", str(run), "--names", str(tmp_path / "words.csv")])
    names = read_names(run)
    assert list(names) == neurons
    assert (names[neurons[0]].word, names[neurons[0]].told) == ("follows", True)
    told = sum(name.told for name in names.values())
    shown = " ".join(capsys.readouterr().out.split())
    assert f"({told} of {len(names)} neurons above chance; {0.05 * len(names):.0f} would be by chance)" in shown
    (drawn, *_) = export_figures(run, tmp_path / "figures", FigureSettings(categories=[0], formats=["svg"]))
    assert drawn.name == "path_0.svg"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("index,loops\n1,2\n2,3\n", "the word table must have a row for every image, but has none for"),
        ("loops\n2\n3\n", "must name its images by `index` or `file`, got neither"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], table: str, message: str
) -> None:
    (tmp_path / "words.csv").write_text(table)
    with pytest.raises(SystemExit, match="2"):
        main(["report", str(run), "--names", str(tmp_path / "words.csv")])
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (run / "concept_names.json").exists()


def test_a_run_without_paths_is_refused(tmp_path: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "category_paths.json").unlink()
    (tmp_path / "words.csv").write_text("index,loops\n1,2\n2,3\n")
    with pytest.raises(SystemExit, match="2"):
        main(["report", str(run), "--names", str(tmp_path / "words.csv")])
    assert "`names` needs a run with category paths" in capsys.readouterr().err
