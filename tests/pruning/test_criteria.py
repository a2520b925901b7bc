from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nplight import open_vit, search
from nplight.data import ImageBatch
from nplight.errors import ArgumentError
from nplight.pruning import CRITERIA, CriterionSettings, criterion_scores
from nplight.runs import SearchRun, SearchSettings
from nplight.shrinking.rankings import magnitude_scores, random_scores
from nplight.store import RunFolder
from tests.conftest import make_vit


def make_run(folder: Path, images: Tensor, targets: Tensor, *methods: Any, kept: int = 64, depth: int = 3) -> Path:
    settings = SearchSettings.of(list(methods), kept=(kept,), labelled=False, steps=2)
    with SearchRun(open_vit(make_vit(depth=depth)), RunFolder(folder), settings) as run:
        run.update(ImageBatch(images, targets))
    return folder


AT_ALL = {"name": "everywhere", "method": "activation", "tokens": "all"}


def test_every_criterion_gives_a_score_of_every_neuron(images: Tensor, targets: Tensor, tmp_path: Path) -> None:
    vit, batches = open_vit(make_vit()), lambda: [ImageBatch(images, targets)]
    run = make_run(tmp_path / "run", images, targets, AT_ALL)
    found = {}
    for name in ("path", "magnitude", "random", "joint_integrated_gradients"):
        settings = CriterionSettings(name, paths=run if name == "path" else None)
        found[name] = criterion_scores(vit, settings, batches, 0.5)
        assert [tuple(scores.shape) for scores in found[name]] == [(64,)] * 3
    paths = search(
        vit, images, targets, method="joint_integrated_gradients", tokens="all", ranked=64, steps=3, tolerance=0,
        rule="gauss-legendre",
    )  # fmt: skip
    means = torch.zeros(4, 3, 64).scatter(2, paths.ranking, paths.ranking_scores.float()).mean(0)
    torch.testing.assert_close(torch.stack(list(found["joint_integrated_gradients"])).float(), means)
    assert all(map(torch.equal, found["magnitude"], magnitude_scores(vit, batches)))
    assert all(map(torch.equal, found["random"], random_scores(vit.widths, 0)))
    assert "random" in CRITERIA
    assert CRITERIA.count("random") == 1


def test_a_path_of_the_class_token_or_of_few_neurons_is_no_criterion(
    images: Tensor, targets: Tensor, tmp_path: Path
) -> None:
    vit = open_vit(make_vit())

    def stored(run: Path, search: str | None = None) -> Any:
        return criterion_scores(vit, CriterionSettings("path", paths=run, search=search), lambda: (), 0.9)

    with pytest.raises(ArgumentError, match="`paths` activation ranks the neurons of this model at its path tokens"):
        stored(make_run(tmp_path / "class", images, targets, "activation"))
    with pytest.raises(ArgumentError, match="hold too few neurons to keep 90% of them; rank more"):
        stored(make_run(tmp_path / "few", images, targets, AT_ALL, kept=4))
    two = make_run(tmp_path / "two", images, targets, "activation", AT_ALL)
    with pytest.raises(ArgumentError, match=r"`search` must name one of the searches of .*, activation, everywhere"):
        stored(two)
    assert len(stored(two, "everywhere")) == 3
    with pytest.raises(ArgumentError, match="must hold paths of this model of 3 layers, but has 2"):
        stored(make_run(tmp_path / "short", images, targets, AT_ALL, depth=2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "size"}, "`criterion` must be one of 'path', 'magnitude', 'random', 'jas'"),
        ({"name": "path"}, "`paths` must be given for criterion 'path', .* tokens: all, got none"),
        ({"paths": "run"}, "`paths` is for criterion 'path', got run with 'joint_integrated_gradients'"),
        ({"images": 0}, "`images` must be an integer of at least 1"),
        ({"steps": 0}, "`steps` must be an integer of at least 1"),
        ({"seed": -1}, "`seed` must be an integer of at least 0"),
    ],
)
def test_bad_settings_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        CriterionSettings(**arguments)
