"""The strip of a category as a figure."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nplight.report.static_style import paper_style
from nplight.report.strip_figure import strip_figure
from nplight.report.strip_neurons import StripNeuron, StripPicture

PICTURE = StripPicture(np.zeros((8, 8, 3), np.uint8), np.eye(4))


def neuron(number: int, *, on_path: bool = True, picture: StripPicture | None = None, name: str = "") -> StripNeuron:
    return StripNeuron(number, on_path, 0.25, 0.1, 0.5, picture, name)


def columns(layers: int, top_k: int = 1, picture: StripPicture | None = PICTURE) -> list[list[StripNeuron]]:
    return [
        [neuron(100 * layer + rank, picture=None if rank else picture) for rank in range(top_k)]
        + [neuron(3000 + rank, on_path=False) for rank in range(2)]
        for layer in range(layers)
    ]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("width", [40.0, 85.0, 170.0])
@pytest.mark.parametrize("layers", [1, 6, 12, 32])
def test_every_neuron_is_there_inside_the_width(width: float, layers: int) -> None:
    with paper_style():
        figure = strip_figure(columns(layers), width)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        shown = texts(figure)
        assert {f"L{layer} · {100 * layer}" for layer in range(layers)} <= set(shown)
        assert shown.count("3000") == shown.count("3001") == layers
        assert shown.count("25% images") == shown.count("10% score") == layers
        assert len(figure.axes[0].images) == 3 * layers
        assert figure.get_size_inches()[0] == pytest.approx(width / 25.4)
        for text in figure.axes[0].texts:
            box = text.get_window_extent(canvas.get_renderer())
            assert box.x0 >= figure.bbox.x0 - 2
            assert box.x1 <= figure.bbox.x1 + 2
            assert box.y0 >= figure.bbox.y0 - 2


def test_a_long_path_is_cut_and_says_so() -> None:
    with paper_style():
        shown = texts(strip_figure(columns(2, top_k=9, picture=None), 85.0))
    assert "and 4 more per layer" in shown
    assert {"101", "104"} <= set(shown)
    assert "105" not in shown


def test_the_name_stands_beneath_its_neuron() -> None:
    named = [[neuron(7, name="loop 0.81")], [neuron(8)]]
    with paper_style():
        assert "loop 0.81" in texts(strip_figure(named, 85.0))


def test_a_layer_without_a_neuron_stays_empty() -> None:
    with paper_style():
        figure = strip_figure([[], *columns(1)], 85.0)
    assert "L1 · 0" in texts(figure)
    assert not any(text.startswith("L0") for text in texts(figure))
