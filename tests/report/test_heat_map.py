"""Heat maps of methods by cases."""

from __future__ import annotations

import math

import pytest

from nplight.metrics import Estimate
from nplight.planted import Judgements
from nplight.report.heat_map import colour_of, heat_map, scale, with_interval
from nplight.report.theme import NEUTRAL


def estimates(value: float) -> Estimate:
    return Estimate(value, value - 0.1, value + 0.1, 16)


@pytest.fixture
def judgements() -> Judgements:
    values = {("chain", "jas"): 0.5, ("chain", "random"): 0.0, ("loud", "jas"): math.nan, ("loud", "random"): 1.2}
    return Judgements("logit", 1, {(*key, "recall"): estimates(value) for key, value in values.items()})


def test_every_method_and_case_has_a_cell_inside_the_picture(judgements: Judgements) -> None:
    drawn = heat_map(judgements, "recall")
    assert [label.text for label in drawn.methods] == ["jas", "random"]
    assert [label.text for label in drawn.cases] == ["chain", "loud"]
    assert [cell.text for cell in drawn.cells] == [
        "jas, chain: recall 0.50 (0.40 … 0.60)",
        "jas, loud: recall –",
        "random, chain: recall 0.00 (-0.10 … 0.10)",
        "random, loud: recall 1.20 (1.10 … 1.30)",
    ]
    assert len({(cell.x, cell.y) for cell in drawn.cells}) == 4
    for cell in drawn.cells:
        assert 0 < cell.x <= drawn.width - drawn.cell_width
        assert 0 < cell.y <= drawn.height - drawn.cell_height


def test_colours_go_from_0_to_1_and_end_there() -> None:
    colours = [colour for colour, _ in scale()]
    assert len(set(colours)) == 11
    assert colour_of(-0.3) == colours[0]
    assert colour_of(1.4) == colours[-1]
    assert colour_of(math.nan) == NEUTRAL
    assert [share for _, share in scale(3)] == ["0%", "50%", "100%"]


def test_a_value_without_replicates_has_no_interval() -> None:
    assert with_interval(Estimate(0.25, math.nan, math.nan, 16)) == "0.25"
