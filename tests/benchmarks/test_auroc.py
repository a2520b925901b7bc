from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_auroc

from benchmarks.auroc import auroc, with_intervals


def test_the_area_is_torchmetrics_also_with_equal_values() -> None:
    draw = np.random.default_rng(0)
    for levels in (3, 1000):
        values, positive = draw.integers(0, levels, 200) / levels, draw.random(200) < 0.2
        expected = binary_auroc(torch.from_numpy(values), torch.from_numpy(positive).long())
        assert auroc(values, positive) == pytest.approx(expected.item())


def test_intervals_hold_the_value_and_a_difference_to_itself_is_nothing() -> None:
    draw = np.random.default_rng(0)
    positive = np.arange(300) < 40
    good, bad = positive + draw.normal(size=300), draw.normal(size=300)
    areas, differences = with_intervals([bad, good], positive, replicates=200)
    for value, low, high in (*areas, differences[1]):
        assert low < value < high
    assert differences[0] == [0, 0, 0]
    assert differences[1][0] == pytest.approx(areas[1][0] - areas[0][0])
    # The same images are drawn for both: a shift of one is none of its area.
    assert with_intervals([good, good + 5], positive, replicates=50)[1][1] == [0, 0, 0]
    assert areas[1][1] > 0.6
