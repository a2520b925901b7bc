"""The layout of a chart of lines."""

from __future__ import annotations

import pytest

from nplight.report.line_chart import Point, line_chart


def positions(text: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in text.split())]


def test_points_lie_where_their_values_are() -> None:
    curve = [Point(1.0, 0.9, 0.85, 0.95), Point(0.5, 0.7, 0.6, 0.8)]
    chart = line_chart({"one": curve, "other": curve}, across="kept", up="accuracy")
    line = chart.lines[0]
    (x1, y1), (x2, y2) = positions(line.points)
    assert (x1, x2) == pytest.approx(((chart.left + chart.right) / 2, chart.right), abs=0.1)
    per_share = (y1 - y2) / 0.2
    band = positions(line.band)
    assert band[0] == pytest.approx((x1, y1 + 0.1 * per_share), abs=0.2)
    assert band[2] == pytest.approx((x2, y2 - 0.05 * per_share), abs=0.2)
    assert [marker.text for marker in line.markers] == [
        "one, 50% kept: 70.0% (60.0% … 80.0%)",
        "one, 100% kept: 90.0% (85.0% … 95.0%)",
    ]
    assert chart.lines[0].colour != chart.lines[1].colour


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.962, 1.0), (0.3, 0.31), (0.5, 0.5)])
def test_the_axis_holds_every_interval(low: float, high: float) -> None:
    chart = line_chart({"one": [Point(0.5, (low + high) / 2, low, high)]}, across="kept", up="accuracy")
    heights = [y for _, y in positions(chart.lines[0].band)]
    assert chart.top <= min(heights) <= max(heights) <= chart.bottom
    assert 2 <= len(chart.up) <= 10
    assert (chart.up[0].at, chart.up[-1].at) == (chart.bottom, chart.top)
