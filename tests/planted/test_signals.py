"""Directions of the residual stream."""

from __future__ import annotations

import pytest
import torch

from nplight.planted.signals import Signals


@pytest.mark.parametrize(("count", "features"), [(3, 64), (63, 64), (64, 128)])
def test_what_writes_a_signal_reads_it_and_none_of_the_others(count: int, features: int) -> None:
    names = [f"signal {number}" for number in range(count)]
    signals = Signals(names, torch.Generator().manual_seed(0))
    assert signals.features == features
    directions = signals.matrix([{name: 1} for name in names])
    torch.testing.assert_close(directions @ directions.T, torch.eye(count, dtype=torch.float64))
    # A LayerNorm subtracts the mean: that of every signal is 0.
    assert directions.mean(1).abs().max() < 1e-12
    torch.testing.assert_close(signals.vector({names[0]: 2, names[2]: -1}), 2 * directions[0] - directions[2])
