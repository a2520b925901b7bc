from __future__ import annotations

import torch
from torch import Tensor

from nplight import METHODS, open_vit
from nplight.attribution import PathScores, clean_pass, plain_search
from nplight.methods.jas import jas
from nplight.vit import undisturbed
from tests.attribution.problems import problem
from tests.conftest import make_vit
from tests.searching.test_search import EXACT


def test_it_ranks_as_algorithm_1_does(images: Tensor, targets: Tensor) -> None:
    vit = open_vit(make_vit())
    with undisturbed(vit.model):
        result = jas(problem(vit, clean_pass(vit, images), targets, top_k=2, ranked=4))
        expected = plain_search(vit, images, targets, steps=4, top_k=2, ranked=4)
    assert isinstance(result, PathScores)
    assert torch.equal(result.ranking, expected.ranking)
    torch.testing.assert_close(result.ranking_scores, expected.ranking_scores, **EXACT)
    torch.testing.assert_close(result.scores, expected.scores, **EXACT)
    assert METHODS["jas"].run is jas
