from __future__ import annotations

import torch
from torch import Tensor

from nplight import joint_score, open_vit
from nplight.attribution import PathScores, clean_pass
from nplight.searching.ranking import rank
from nplight.vit import undisturbed
from tests.attribution.problems import problem
from tests.conftest import make_vit
from tests.searching.test_search import EXACT


def test_scores_are_ranked_per_layer_and_the_first_k_are_the_path(images: Tensor, targets: Tensor) -> None:
    vit = open_vit(make_vit())
    scores = list(torch.randn(3, 4, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    with undisturbed(vit.model):
        result = rank(problem(vit, clean_pass(vit, images), targets, top_k=2, ranked=5), scores)
    for layer, values in enumerate(scores):
        assert torch.equal(result.ranking[:, layer], values.argsort(descending=True)[:, :5])
        assert torch.equal(result.ranking_scores[:, layer], values.sort(descending=True).values[:, :5])
    expected = joint_score(vit, images, targets, result.ranking[..., :2], steps=4)
    torch.testing.assert_close(result.scores, expected, **EXACT)


def test_rankings_are_returned_unchanged(images: Tensor, targets: Tensor) -> None:
    vit = open_vit(make_vit())
    given = PathScores(torch.zeros(4, 3, 1, dtype=torch.int64), torch.zeros(4, 3, 1), torch.zeros(4))
    with undisturbed(vit.model):
        assert rank(problem(vit, clean_pass(vit, images), targets), given) is given
