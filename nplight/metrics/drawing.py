"""Metrics drawn with matplotlib, which is imported when something is drawn: only then is it needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from nplight.errors import ArgumentError
from nplight.metrics.replicates import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from nplight.metrics.measures import Measure

Drawing = tuple["Figure", "Axes"]


def canvas(ax: Axes | None) -> Drawing:
    """The axes to draw on, of a new figure where none are given, with their figure.

    Raises:
        ArgumentError: matplotlib is not installed.
    """
    if ax is not None:
        return cast("Figure", ax.get_figure(root=True)), ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ArgumentError("plot() needs matplotlib, which nplight[figures] installs") from error
    return plt.subplots(layout="constrained")


def draw_estimates(names: Sequence[str], estimates: Sequence[Estimate], ax: Axes | None, *, unit: str) -> Drawing:
    """Values with their 95% intervals side by side."""
    figure, ax = canvas(ax)
    values = torch.tensor([[one.low, one.value, one.high] for one in estimates], dtype=torch.float64)
    low, middle, high = values.T
    ax.errorbar(names, middle.tolist(), [(middle - low).tolist(), (high - middle).tolist()], fmt="o", capsize=3)
    ax.set_ylabel(unit)
    return figure, ax


def draw_matrix(values: Tensor, ax: Axes | None, *, rows: str, columns: str, unit: str) -> Drawing:
    """A heat map with its scale: (rows, columns)."""
    figure, ax = canvas(ax)
    image = ax.imshow(values.cpu().float().numpy(), cmap="cividis", aspect="auto", interpolation="nearest")
    figure.colorbar(image, ax=ax, label=unit)
    ax.set(xlabel=columns, ylabel=rows)
    return figure, ax


def draw_pruning(results: Sequence[Mapping[str, Any]], ax: Axes | None, measure: Measure) -> Drawing:
    """A measure against neurons kept per layer; its value without an edit is dashed.

    For one method, one line per share of the others pruned; for several, one line per method, for the largest share.

    Args:
        results: of `ConditionResult.to_dict`.
        ax: where; `None`: a new figure.
        measure: what is drawn.
    """
    figure, ax = canvas(ax)
    kept = [result for result in results if result["condition"] == "kept"]
    methods = list(dict.fromkeys(result["method"] for result in kept))
    shares = sorted({result["pruned"] for result in kept})
    for method in methods:
        for share in shares if len(methods) == 1 else shares[-1:]:
            line = [result for result in kept if (result["method"], result["pruned"]) == (method, share)]
            points = {result["kept"]: measure.factor * result[measure.name] for result in line}
            name = f"{share:.0%} of the others pruned" if len(methods) == 1 else method
            ax.plot(list(points), list(points.values()), marker="o", label=name)
    clean = next(result for result in results if result["condition"] == "clean")
    ax.axhline(measure.factor * clean[measure.name], color="grey", linestyle="--", label="nothing pruned")
    ax.set(xscale="log", xlabel="neurons kept per layer", ylabel=measure.label)
    ax.legend()
    return figure, ax
