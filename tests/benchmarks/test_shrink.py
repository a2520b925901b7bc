"""What half of the neurons saves."""

from __future__ import annotations

import torch

from benchmarks.shrink import saved
from tests.conftest import make_vit


def test_ffns_shrink_as_their_sizes_say() -> None:
    model = make_vit()
    share = saved(model, torch.randn(2, 3, 8, 8, dtype=torch.float64), rounds=1)
    assert share.predicted == share.flops == 0.5
    # The bias of the down projection stays whole.
    assert share.parameters == (32 * (16 + 1 + 16) + 16) / (64 * (16 + 1 + 16) + 16)
    assert share.seconds > 0
    assert share.model_seconds > 0
