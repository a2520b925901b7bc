"""A chart on paper has the values, the ticks and the legend of the chart."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nplight.report.charts import Axis, Chart, Line, Panel, search_styles
from nplight.report.static_chart import static_chart, static_matrix
from nplight.report.static_style import paper_style, saved

AXIS = Axis("neurons kept per layer", {float(size): str(size) for size in (1, 5, 10, 30, 50, 100)}, log=True)


def chart(*names: str, panels: int = 1) -> Chart:
    styles = search_styles(names)
    x = list(AXIS.labels)
    level = Line("clean", styles[names[0]], [x[0], x[-1]], [9.0, 9.0], reference=True)
    lines = [
        Line(name, style, x, [place + number for place in range(6)], [place - 1.0 for place in range(6)], [9.0] * 6)
        for number, (name, style) in enumerate(styles.items())
    ]
    return Chart("baked", [Panel(f"panel {place}", [*lines, level], AXIS, "%") for place in range(panels)], 2)


def axes_of(figure: Figure) -> list[Axes]:
    return figure.axes


def legend_of(figure: Figure) -> list[str]:
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize("width", [60.0, 85.0, 170.0])
def test_lines_ticks_and_legend_are_those_of_the_chart(width: float) -> None:
    with paper_style():
        figure = static_chart(chart("jas", "random", panels=3), width)
        saved(figure, "svg")
    panels = axes_of(figure)
    assert len(panels) == 3
    assert len({axes.get_position().y0 for axes in panels}) == (2 if width > 110 else 3)
    for axes in panels:
        assert [np.asarray(line.get_ydata()).tolist() for line in axes.lines][:2] == [
            [0, 1, 2, 3, 4, 5],
            [1, 2, 3, 4, 5, 6],
        ]
        assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "5", "10", "30", "50", "100"]
        assert not axes.get_xticklabels(minor=True)
        assert len(axes.collections) == 2  # bands
    assert legend_of(figure) == ["jas", "random", "clean"]
    assert figure.get_size_inches()[0] == pytest.approx(width / 25.4)
    texts = [axes.get_title() for axes in panels]
    assert figure.get_suptitle() == ""
    assert "baked" not in texts


def test_nothing_is_cut_off_and_the_legend_lies_on_no_line() -> None:
    with paper_style():
        figure = static_chart(chart(*(f"integrated_gradients_{number}" for number in range(8)), panels=2), 85.0)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        boxes = [axes.get_tightbbox(canvas.get_renderer()) for axes in axes_of(figure)]
    whole = figure.bbox
    (legend,) = figure.legends
    shown = legend.get_window_extent(canvas.get_renderer())
    for box in [*boxes, shown]:
        assert box is not None
        assert box.x0 >= whole.x0 - 1
        assert box.x1 <= whole.x1 + 1
        assert box.y0 >= whole.y0 - 1
        assert box.y1 <= whole.y1 + 1
    assert all(not shown.overlaps(axes.get_window_extent()) for axes in axes_of(figure))


def test_searches_that_are_not_shown_are_left_out() -> None:
    names = [f"search {number}" for number in range(12)]
    with paper_style():
        figure = static_chart(chart(*names), 170.0)
    assert legend_of(figure) == [*names[:8], "clean"]
    assert len(axes_of(figure)[0].lines) == 9


def test_a_matrix_has_its_values_in_order_and_names_while_there_is_room() -> None:
    values = np.arange(9.0).reshape(3, 3)
    labels = {"unit": "%", "rows": "images of", "columns": "path of"}
    with paper_style():
        figure = static_matrix(values, ["crane", "crane", ""], [2, 0, 1], width=60, **labels)
        saved(figure, "svg")
        many = static_matrix(np.eye(40), [""] * 40, None, width=60, **labels)
    axes = axes_of(figure)[0]
    assert np.array_equal(axes.images[0].get_array(), values[[2, 0, 1]][:, [2, 0, 1]])
    assert [text.get_text() for text in axes.get_yticklabels()] == [" (2)", "crane (0)", "crane (1)"]
    assert len(axes_of(many)[0].get_xticks()) == 0
