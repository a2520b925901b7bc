from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nplight import open_vit
from nplight.attribution import RemovalRows, clean_pass
from nplight.neurons import at_sites
from nplight.vit import OpenViT, undisturbed
from tests.attribution.problems import problem
from tests.conftest import make_vit
from tests.searching.test_search import EXACT

FIRST, SECOND = torch.tensor([5, 9, 9, 0]), torch.tensor([3, 7, 1, 2])
CANDIDATES = torch.tensor([[1, 4, 6], [2, 3, 0], [8, 0, 5], [6, 7, 8]])


def probability(vit: OpenViT, images: Tensor, targets: Tensor, removed: dict[int, list[Tensor]]) -> Tensor:
    """With neurons removed, layer -> (images,) each, by hooks on the whole model."""

    def without(neurons: list[Tensor]) -> Callable[[Tensor], Tensor]:
        gone = torch.stack(neurons, 1).unsqueeze(1)
        return lambda values: values.scatter(2, gone.expand(-1, values.shape[1], -1), 0)

    with torch.no_grad(), at_sites(vit, {layer: without(neurons) for layer, neurons in removed.items()}):
        return vit.forward(images).softmax(1).gather(1, targets[:, None])[:, 0]


@pytest.mark.parametrize("pool", ["token", "avg"])
@pytest.mark.parametrize("chunk_size", [99, 2])
def test_each_candidate_is_removed_with_what_was_removed_before(
    images: Tensor, targets: Tensor, pool: str, chunk_size: int
) -> None:
    vit = open_vit(make_vit(global_pool=pool))
    with undisturbed(vit.model):
        rows = RemovalRows(problem(vit, clean_pass(vit, images), targets, chunk_size=chunk_size))
        rows.enter(0)
        rows.remove(FIRST)
        first = rows.changes(CANDIDATES)
        rows.enter(1)
        rows.enter(2)
        rows.remove(SECOND)
        last = rows.changes(CANDIDATES)
        before = probability(vit, images, targets, {0: [FIRST]})
        for column, candidate in enumerate(CANDIDATES.T):
            expected = before - probability(vit, images, targets, {0: [FIRST, candidate]})
            torch.testing.assert_close(first[:, column], expected, **EXACT)
        before = probability(vit, images, targets, {0: [FIRST], 2: [SECOND]})
        for column, candidate in enumerate(CANDIDATES.T):
            expected = before - probability(vit, images, targets, {0: [FIRST], 2: [SECOND, candidate]})
            torch.testing.assert_close(last[:, column], expected, **EXACT)


def test_neurons_that_are_zero_already_change_nothing(images: Tensor, targets: Tensor) -> None:
    model = make_vit(act_layer=torch.nn.ReLU)
    vit = open_vit(model)
    with undisturbed(model):
        clean = clean_pass(vit, images)
        rows = RemovalRows(problem(vit, clean, targets))
        rows.enter(0)
        everything = torch.arange(vit.widths[0]).expand(len(images), -1)
        changes = rows.changes(everything)
        before = probability(vit, images, targets, {})
        for column, candidate in enumerate(everything.T):
            expected = before - probability(vit, images, targets, {0: [candidate]})
            torch.testing.assert_close(changes[:, column], expected, **EXACT)
        zero = (clean.values[0] == 0).all(1)
        assert zero.any(1).all()
        assert not changes[zero].any()
        silent = zero.float().argsort(dim=1, descending=True)[:, :1]
        assert not rows.changes(silent).any()
