from __future__ import annotations

import pytest
import torch
from torch import Tensor

import nplight
from nplight.attribution import OBJECTIVES, check_objective
from nplight.errors import ArgumentError
from tests.conftest import make_vit
from tests.searching.test_search import EXACT, assert_same

LOGITS = torch.tensor([[1.0, 3.0, -2.0], [0.5, 0.25, 4.0]], dtype=torch.float64)
TARGETS = torch.tensor([0, 2])


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        ("probability", LOGITS.softmax(1)[[0, 1], TARGETS]),
        ("log-probability", LOGITS.softmax(1)[[0, 1], TARGETS].log()),
        ("logit", torch.tensor([1.0, 4.0], dtype=torch.float64)),
        ("margin", torch.tensor([1.0 - 3.0, 4.0 - 0.5], dtype=torch.float64)),
    ],
)
def test_an_objective_is_what_its_name_says(objective: str, expected: Tensor) -> None:
    logits = LOGITS.clone().requires_grad_()
    torch.testing.assert_close(OBJECTIVES[objective](logits, TARGETS), expected)
    assert torch.autograd.gradcheck(lambda values: OBJECTIVES[objective](values, TARGETS), (logits,))
    assert OBJECTIVES[objective](logits.bfloat16(), TARGETS).dtype == torch.float32


@pytest.mark.parametrize("objective", [name for name in OBJECTIVES if name != "probability"])
@pytest.mark.parametrize("pool", ["token", "avg"])
def test_the_fast_engine_equals_the_slow_oracle(images: Tensor, targets: Tensor, pool: str, objective: str) -> None:
    vit = nplight.open_vit(make_vit(global_pool=pool))
    with nplight.vit.undisturbed(vit.model):
        expected = nplight.attribution.plain_search(
            vit, images, targets, top_k=2, ranked=6, steps=4, rule="midpoint", objective=objective
        )
    actual = nplight.search(vit, images, targets, top_k=2, ranked=6, steps=4, rule="midpoint", objective=objective)
    assert_same(actual, expected)
    score = nplight.joint_score(vit, images, targets, actual.neurons, steps=4, rule="midpoint", objective=objective)
    torch.testing.assert_close(score, expected.scores, **EXACT)
    other = nplight.search(vit, images, targets, top_k=2, ranked=6, steps=4, rule="midpoint")
    assert not torch.allclose(other.scores, actual.scores)
    assert torch.equal(other.probability, actual.probability)


def test_a_wrong_objective_is_refused_with_the_way_out(images: Tensor) -> None:
    with pytest.raises(ArgumentError, match="`objective` must be one of 'probability', 'log-probability', 'logit'"):
        nplight.search(make_vit(), images, objective="loss")
    with pytest.raises(ArgumentError, match="needs two categories at least, got a model with 1; use 'logit'"):
        check_objective("margin", 1)  # `open_vit` refuses such a model before
    two = nplight.search(make_vit(num_classes=2), images, objective="margin", steps=2)
    assert two.scores.isfinite().all()
