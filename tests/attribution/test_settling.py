from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import open_vit
from nplight.attribution import Problem, clean_pass, few_counts, first_counts, many_counts, settle
from nplight.vit import undisturbed
from tests.attribution.problems import problem


def summing(vit: VisionTransformer, images: Tensor, targets: Tensor, steps: int, tolerance: float) -> Problem:
    opened = open_vit(vit)
    with undisturbed(vit):
        return problem(opened, clean_pass(opened, images), targets, steps=steps, tolerance=tolerance)


def test_the_numbers_of_nodes_end_with_every_node(vit: VisionTransformer, images: Tensor, targets: Tensor) -> None:
    for counts_of in (few_counts, first_counts, many_counts):
        for steps in (1, 5, 14, 20, 100, 1000):
            counts = counts_of(summing(vit, images, targets, steps, 1e-6))
            assert counts[-1] == steps
            assert list(counts) == sorted(set(counts))
            # What is tried in vain costs less than every node does.
            assert sum(counts[:-1]) < steps
            assert counts_of(summing(vit, images, targets, steps, 0)) == (steps,)


def test_images_get_as_many_nodes_as_they_need(vit: VisionTransformer, images: Tensor, targets: Tensor) -> None:
    """Image i is exp(α) or, for the last two, a step: the smooth ones are settled by the first nodes."""
    search = summing(vit, images, targets, 100, 1e-6)
    asked: list[list[int]] = []

    def evaluate(part: Problem, positions: Tensor) -> list[Tensor]:
        asked.append(positions.tolist())
        alpha = part.nodes[None, :, None].expand(len(positions), -1, 2)
        step = torch.sigmoid(900 * (alpha - 0.505))
        values = torch.where((positions >= 2)[:, None, None], step, alpha.exp())
        return [part.sums(values * torch.tensor([1.0, 0.5], dtype=torch.float64))]

    settled = settle(search, evaluate, few_counts(search))
    assert few_counts(search) == (6, 10, 30, 100)
    assert asked == [[0, 1, 2, 3], [2, 3], [2, 3], [2, 3]]
    assert settled.evaluations.tolist() == [6, 6, 146, 146]
    nodes = search.nodes
    expected = torch.stack([nodes.exp().mean(), torch.sigmoid(900 * (nodes - 0.505)).mean()])
    torch.testing.assert_close(settled.scores[0][:, 0], expected.repeat_interleave(2), rtol=1e-6, atol=0)
    assert torch.equal(settled.scores[0][2, 0], search.sums(torch.sigmoid(900 * (nodes - 0.505))[None])[0, 0])


def test_all_layers_of_an_image_must_be_settled(vit: VisionTransformer, images: Tensor, targets: Tensor) -> None:
    search = summing(vit, images, targets, 40, 1e-6)

    def evaluate(part: Problem, positions: Tensor) -> list[Tensor]:
        alpha = part.nodes[None, :, None].expand(len(positions), -1, 1)
        return [part.sums(alpha.exp()), part.sums((alpha - 0.4).abs())]

    assert settle(search, evaluate, (8, 40)).evaluations.tolist() == [48] * 4


@pytest.mark.parametrize("leader", [False, True])
def test_the_first_of_several_may_have_to_be_clear(
    vit: VisionTransformer, images: Tensor, targets: Tensor, leader: bool
) -> None:
    search = summing(vit, images, targets, 40, 1e-3)

    def evaluate(part: Problem, positions: Tensor) -> list[Tensor]:
        alpha = part.nodes[None, :, None].expand(len(positions), -1, 3)
        return [part.sums(alpha.exp() * torch.tensor([1, 1, 0.5], dtype=torch.float64))]

    settled = settle(search, evaluate, (8, 40), top_k=2, ranked=2, leader=leader)
    assert settled.evaluations.tolist() == [48 if leader else 8] * 4
