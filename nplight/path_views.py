"""Views of paths: as text, as a pandas table, as a Plotly figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_SHOWN = 3
_LAYERS = 8
_RANKS = 3


def summary(title: str, lines: Sequence[str], rest: int) -> str:
    """A title, the lines of the first paths, and the number of further paths."""
    more = [f"  … {rest} more"] if rest > 0 else []
    return "\n".join([title, *(f"  {line}" for line in lines), *more])


def image_lines(neurons: Tensor, targets: Tensor, probability: Tensor, scores: Tensor) -> list[str]:
    """The first images and their paths, one line per image: (images, layers, K) and (images,) three times."""
    numbers = zip(*(values[:_SHOWN].tolist() for values in (neurons, targets, probability, scores)))
    return [
        f"image {image}: target {target} ({p:.1%}), score {score:.4g}, neurons {path_text(path)}"
        for image, (path, target, p, score) in enumerate(numbers)
    ]


def category_lines(neurons: Tensor, images: Tensor) -> list[str]:
    """The first categories and their paths, one line per category: (categories, layers, K) and (categories,)."""
    numbers = zip(*(values[:_SHOWN].tolist() for values in (neurons, images)))
    return [
        f"category {category}: of {count} images, neurons {path_text(path)}"
        for category, (path, count) in enumerate(numbers)
    ]


def path_text(path: Sequence[Sequence[int]]) -> str:
    """The neurons of the first layers, best first, truncated to the first neurons of each layer."""
    layers = [" ".join(map(str, layer[:_RANKS])) + (" …" if len(layer) > _RANKS else "") for layer in path]
    return " → ".join(layers[:_LAYERS]) + (" → …" if len(layers) > _LAYERS else "")


def frame(columns: dict[str, Tensor]) -> pd.DataFrame:
    """One row per image; columns of several dimensions are one NumPy array per row."""
    import pandas as pd

    arrays = {name: values.detach().cpu().numpy() for name, values in columns.items()}
    table = pd.DataFrame({name: array if array.ndim == 1 else list(array) for name, array in arrays.items()})
    return table.rename_axis(index="image")


def path_figure(neurons: Tensor, neuron_scores: Tensor, title: str) -> go.Figure:
    """Neuron index against layer: a line through the best neurons, the others as points.

    Args:
        neurons: (layers, K) int64.
        neuron_scores: (layers, K), shown on hover.
        title: of the figure.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    layers = list(range(len(neurons)))
    for rank, (indices, scores) in enumerate(zip(neurons.T.tolist(), neuron_scores.T.tolist())):
        figure.add_scatter(
            x=layers,
            y=indices,
            customdata=scores,
            mode="markers" if rank else "lines+markers",
            name=f"rank {rank + 1}",
            marker={"size": 6 if rank else 10},
            hovertemplate="layer %{x}, neuron %{y}<br>score %{customdata:.4g}<extra></extra>",
        )
    figure.update_xaxes(title="layer, from the input (0) on", dtick=1 if len(layers) <= 16 else 4)
    figure.update_yaxes(title="neuron", rangemode="tozero")
    return figure.update_layout(title={"text": title}, showlegend=neurons.shape[1] > 1)
