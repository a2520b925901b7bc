from __future__ import annotations

import pytest
import torch

from nplight.vit.rounding import equal_but_for_rounding

VALUES = torch.tensor([[1.0, -200.0, 0.5]], dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_half_of_the_digits_must_agree(dtype: torch.dtype) -> None:
    step = 200 * torch.finfo(dtype).eps ** 0.5
    assert equal_but_for_rounding((VALUES + 0.5 * step).to(dtype), VALUES.to(dtype))
    assert not equal_but_for_rounding((VALUES + 2.5 * step).to(dtype), VALUES.to(dtype))
    assert equal_but_for_rounding(VALUES.to(dtype), VALUES)


def test_under_autocast_its_digits_count() -> None:
    values, other = VALUES.float(), VALUES.float() + 1
    assert not equal_but_for_rounding(other, values, computed=True)
    with torch.autocast("cpu", torch.bfloat16):
        assert equal_but_for_rounding(other, values, computed=True)
        assert not equal_but_for_rounding(other, values)


def test_nan_equals_nan_and_another_shape_or_kind_is_unequal() -> None:
    holed = VALUES.clone()
    holed[0, 0] = torch.nan
    assert equal_but_for_rounding(holed, holed)
    assert not equal_but_for_rounding(VALUES, holed)
    assert not equal_but_for_rounding(VALUES[:, :2], VALUES)
    assert not equal_but_for_rounding(VALUES.long(), VALUES)
