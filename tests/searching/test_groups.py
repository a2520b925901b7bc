from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import open_vit
from nplight.attribution import FrozenPass, PathScores, Problem
from nplight.errors import NonFiniteError
from nplight.searching import SearchOptions
from nplight.searching.groups import as_paths, in_groups


def test_a_group_holds_as_many_images_as_fit_a_chunk(vit: VisionTransformer, images: Tensor, targets: Tensor) -> None:
    options = SearchOptions(2, 3, 2, "trapezoid", "frozen", chunk_size=7, seed=5)
    groups = in_groups(open_vit(vit), images, targets, options, lambda problem, part: (problem, part))
    assert [part for _, part in groups] == [slice(0, 3), slice(3, 6)]
    assert torch.equal(torch.cat([problem.targets for problem, _ in groups]), targets)
    for problem, part in groups:
        assert isinstance(problem.clean, FrozenPass)
        assert torch.equal(problem.clean.images, images[part])
        assert (problem.nodes.tolist(), problem.weights.tolist()) == ([0, 1], [0.5, 0.5])
        settings = (problem.rule, problem.top_k, problem.ranked, problem.chunk_size, problem.seed)
        assert settings == ("trapezoid", 2, 3, 7, 5)
        assert problem.nodes.dtype == problem.weights.dtype == torch.float64


def test_without_targets_they_are_the_predictions(vit: VisionTransformer, images: Tensor) -> None:
    vit.eval()
    groups = in_groups(open_vit(vit), images, None, SearchOptions(steps=1), lambda problem, part: problem.targets)
    assert torch.equal(torch.cat(groups), vit(images).argmax(1))


def test_images_are_named_by_their_position_among_all(vit: VisionTransformer, images: Tensor) -> None:
    def run(problem: Problem, part: slice) -> None:
        if part.start == 2:
            scores = torch.tensor([[[1.0]], [[torch.nan]]])
            as_paths(problem, PathScores(torch.zeros(2, 1, 1, dtype=torch.int64), scores, torch.zeros(2)))

    with pytest.raises(NonFiniteError, match="the search gave NaN or infinite scores for the images at positions 3"):
        in_groups(open_vit(vit), images, None, SearchOptions(steps=1, chunk_size=2), run)
