"""Joint integrated gradients: the engine's node rows against the definition."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import nplight
from nplight import open_vit
from nplight.attribution import (
    OBJECTIVES,
    GateRows,
    clean_pass,
    frozen_pass,
    plain_gate_path_score,
    plain_gate_scores,
)
from nplight.vit import undisturbed
from tests.attribution.problems import problem
from tests.conftest import make_vit
from tests.searching.test_search import EXACT

PATH = torch.tensor([[[5, 0], [1, 12]], [[3, 4], [7, 6]], [[9, 2], [0, 63]], [[8, 1], [30, 31]]])


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("pool", ["token", "avg"])
def test_scores_after_a_path_are_those_of_the_definition(
    images: Tensor, targets: Tensor, pool: str, held: bool, objective: str
) -> None:
    vit = open_vit(make_vit(global_pool=pool))
    for chunk_size in (99, 3):
        with undisturbed(vit.model):
            search = problem(
                vit, clean_pass(vit, images), targets, rule="midpoint", chunk_size=chunk_size,
                objective=OBJECTIVES[objective],
            )  # fmt: skip
            chosen, passed = GateRows(search, held=held), GateRows(search, held=held)
            for layer in range(vit.depth):
                before = PATH.repeat(1, 2, 1)[:, :layer]
                expected = plain_gate_scores(
                    vit, images, targets, before, steps=4, rule="midpoint", objective=objective, held=held
                )
                torch.testing.assert_close(chosen.scores(layer), expected, **EXACT)
                chosen.keep(layer, PATH.repeat(1, 2, 1)[:, layer])
            for layer in range(2):
                passed.advance(layer, PATH[:, layer])
            torch.testing.assert_close(passed.scores(2), expected, **EXACT)


@pytest.mark.parametrize("pool", ["token", "avg"])
def test_the_score_of_a_path_adds_up_to_what_its_removal_does(images: Tensor, targets: Tensor, pool: str) -> None:
    model = make_vit(global_pool=pool)
    path = torch.cat([PATH, PATH[:, :1]], 1)
    vit = open_vit(model)
    with undisturbed(model):
        score = plain_gate_path_score(vit, images, targets, path, steps=24, rule="gauss-legendre")
    with torch.no_grad():
        clean = model(images).softmax(1).gather(1, targets[:, None])[:, 0]
        with nplight.intervene(model, path, "remove"):
            removed = model(images).softmax(1).gather(1, targets[:, None])[:, 0]
    assert (clean - removed).abs().min() > 1e-6
    torch.testing.assert_close(score, clean - removed, rtol=0, atol=1e-9)


def test_a_model_that_is_not_known_in_parts_is_gated_by_hooks(images: Tensor, targets: Tensor) -> None:
    model = make_vit()
    expected = nplight.search(model, images, targets, method="joint_integrated_gradients", steps=3, ranked=8)
    handle = model.blocks[1].attn.register_forward_hook(lambda *_: None)  # reads; the block then runs as a whole
    try:
        actual = nplight.search(model, images, targets, method="joint_integrated_gradients", steps=3, ranked=8)
    finally:
        handle.remove()
    torch.testing.assert_close(actual.ranking_scores, expected.ranking_scores, **EXACT)
    assert torch.equal(actual.ranking, expected.ranking)


@pytest.mark.parametrize("held", [False, True])
def test_with_a_frozen_patch_stream_they_are_those_of_its_definition(
    images: Tensor, targets: Tensor, held: bool
) -> None:
    vit = open_vit(make_vit())
    with undisturbed(vit.model):
        search = problem(vit, frozen_pass(vit, images), targets)
        rows = GateRows(search, held=held)
        for layer in range(vit.depth):
            before = PATH.repeat(1, 2, 1)[:, :layer]
            expected = plain_gate_scores(vit, images, targets, before, steps=4, held=held, patch_stream="frozen")
            torch.testing.assert_close(rows.scores(layer), expected, **EXACT)
            rows.keep(layer, PATH.repeat(1, 2, 1)[:, layer])
