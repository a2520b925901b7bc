"""Whether two computations give the same values, but for rounding."""

from __future__ import annotations

import torch
from torch import Tensor


def equal_but_for_rounding(values: Tensor, expected: Tensor, *, computed: bool = False) -> bool:
    """Whether values equal the expected ones in half of their digits, relative to the largest.

    The digits are those of the coarser dtype. NaN equals NaN.

    Args:
        values: of any shape and floating-point dtype.
        expected: what they are compared with; other shapes are unequal.
        computed: by layers that autocast, where it is enabled, runs in its own dtype: its digits then count.
    """
    if values.shape != expected.shape or not values.is_floating_point():
        return False
    dtypes = [values.dtype, expected.dtype]
    if computed and torch.is_autocast_enabled(values.device.type):
        dtypes.append(torch.get_autocast_dtype(values.device.type))
    tolerance = max(torch.finfo(dtype).eps for dtype in dtypes) ** 0.5
    scale = float(expected.double().abs().nan_to_num(0).amax())
    return torch.allclose(values.double(), expected.double(), rtol=0, atol=tolerance * scale, equal_nan=True)
