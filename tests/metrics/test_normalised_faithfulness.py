from __future__ import annotations

import math

import pytest
import torch

from nplight.errors import ArgumentError
from nplight.metrics import KeptMeasure, Replicates, normalised_faithfulness
from nplight.metrics.normalised_faithfulness import cmd, cpr


def measured(*values: float, spread: float = 0.01) -> list[Replicates]:
    """Values with 50 replicates whose noise they share."""
    noise = spread * torch.randn(50, generator=torch.Generator().manual_seed(0)).double()
    return [Replicates(torch.cat([torch.tensor([value]).double(), value + noise]), torch.tensor(9)) for value in values]


def test_areas_are_1_and_0_where_every_size_is_faithful_and_those_of_a_straight_line_over_the_logarithm() -> None:
    sizes = [0, 1, 3, 7]  # 1 + size doubles
    ones, line = torch.ones(4), torch.tensor([0.0, 1, 2, 3]) / 3
    assert (cpr(sizes, ones), cmd(sizes, ones)) == (1, 0)
    assert cpr(sizes, line).item() == pytest.approx(0.5)
    assert cmd(sizes, line).item() == pytest.approx(0.5)
    # Better than the model counts for CPR, and against CMD.
    above = torch.tensor([0.0, 1.2, 1.2, 1.0])
    assert cpr(sizes, above).item() == pytest.approx((0.6 + 1.2 + 1.1) / 3)
    assert cmd(sizes, above).item() == pytest.approx((0.6 + 0.2 + 0.1) / 3)


def test_values_are_shares_of_the_way_from_none_to_all() -> None:
    found = normalised_faithfulness(
        KeptMeasure([0, 2, 8], measured(0.2, 0.5, 0.8)), measure="probability", tokens="path"
    )
    assert [value.value for value in found.values] == pytest.approx([0, 0.5, 1])
    assert found.undefined is None
    # By definition, so without an interval.
    assert all(math.isnan(found.values[end].low) for end in (0, -1))
    assert found.cpr is not None
    assert found.cpr.value == pytest.approx(cpr([0, 2, 8], torch.tensor([0.0, 0.5, 1.0])).item())
    assert found.to_dict()["sizes"] == [0, 2, 8]


@pytest.mark.parametrize(("none", "spread"), [(0.79, 0.0), (0.8, 0.01), (0.8, 0.0)])
def test_where_pruning_every_neuron_changes_nothing_it_is_said_and_not_divided(none: float, spread: float) -> None:
    values = measured(none, 0.8, 0.8, spread=spread)
    if none != 0.8:
        values[0] = measured(none, spread=0.2)[0]  # its interval holds that of all
    found = normalised_faithfulness(KeptMeasure([0, 1, 8], values), measure="accuracy", tokens="all")
    assert (found.values, found.cpr, found.cmd) == ((), None, None)
    assert found.undefined is not None
    assert "which is not clear of 0, so that it cannot divide" in found.undefined
    assert found.to_dict()["cpr"] is None


def test_a_replicate_without_a_distance_has_no_share() -> None:
    values = measured(0.2, 0.5, 0.8)
    values[2].values[3] = values[0].values[3]
    normalised = KeptMeasure([0, 1, 8], values).normalised()
    assert normalised[:, 3].isnan().all()
    assert normalised[:, 4:].isfinite().all()


@pytest.mark.parametrize("sizes", [[0], [1, 2, 3], [0, 2, 2], [0, 3]])
def test_sizes_increase_from_none(sizes: list[int]) -> None:
    with pytest.raises(ArgumentError, match="`sizes` must increase from 0"):
        KeptMeasure(sizes, measured(0.1, 0.2, 0.3))
