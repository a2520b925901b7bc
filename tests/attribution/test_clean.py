from __future__ import annotations

import pytest
import torch

from nplight.attribution import check_finite, target_probability
from nplight.errors import NonFiniteError


def test_the_targets_probability_has_the_gradient_of_a_softmax() -> None:
    draw = torch.Generator().manual_seed(0)
    logits = (3 * torch.randn(5, 7, generator=draw, dtype=torch.float64)).requires_grad_()
    targets, weights = torch.tensor([0, 6, 3, 3, 1]), torch.randn(5, generator=draw, dtype=torch.float64)
    plain = logits.softmax(1)[range(5), targets]
    actual = target_probability(logits, targets)
    torch.testing.assert_close(actual, plain)
    (expected,) = torch.autograd.grad((plain * weights).sum(), logits)
    (gradient,) = torch.autograd.grad((actual * weights).sum(), logits)
    torch.testing.assert_close(gradient, expected)


def test_half_precision_is_summed_in_float32() -> None:
    logits = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).bfloat16().requires_grad_()
    actual = target_probability(logits, torch.tensor([0, 1, 2]))
    assert actual.dtype == torch.float32
    (gradient,) = torch.autograd.grad(actual.sum(), logits)
    assert gradient.dtype == torch.bfloat16


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_value_that_is_not_finite_is_found_wherever_it_stands(bad: float) -> None:
    draw = torch.Generator().manual_seed(0)
    scores, pixels = torch.randn(5, generator=draw), (2 * torch.rand(5, 3, 4, 4, generator=draw) - 1) * 3e38
    check_finite("never", scores, pixels)
    pixels[4, 2, 3, 3] = bad
    scores[1] = bad
    with pytest.raises(NonFiniteError, match="found for the images at positions 1, 4 of the batch") as caught:
        check_finite("found", scores, pixels)
    assert caught.value.positions == (1, 4)
