"""Metrics drawn with matplotlib, which is imported when something is drawn: only then is it needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nplight.errors import ArgumentError
from nplight.metrics.replicates import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Drawing = tuple["Figure", "Axes"]


def canvas(ax: Axes | None) -> Drawing:
    """The axes to draw on, of a new figure where none are given, with their figure.

    Raises:
        ArgumentError: matplotlib is not installed.
    """
    if ax is not None:
        figure = ax.get_figure(root=True)
        assert figure is not None
        return figure, ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ArgumentError("plot() needs matplotlib, which nplight[figures] installs") from error
    return plt.subplots(layout="constrained")


def draw_estimates(names: Sequence[str], found: Sequence[Estimate], ax: Axes | None, *, unit: str) -> Drawing:
    """Values with their 95% intervals side by side."""
    figure, ax = canvas(ax)
    values = torch.tensor([[one.low, one.value, one.high] for one in found], dtype=torch.float64)
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


def draw_pruning(rows: Sequence[Mapping[str, Any]], ax: Axes | None) -> Drawing:
    """Top-1 accuracy (%) against neurons kept a layer; the clean accuracy is dashed.

    Of one method a line each share of the others pruned; of several a line a method, for the largest share.

    Args:
        rows: of `ConditionResult.to_dict`.
        ax: where; `None`: a new figure.
    """
    figure, ax = canvas(ax)
    kept = [row for row in rows if row["condition"] == "kept"]
    methods = list(dict.fromkeys(row["method"] for row in kept))
    shares = sorted({row["pruned"] for row in kept})
    for method in methods:
        for share in shares if len(methods) == 1 else shares[-1:]:
            own = [row for row in kept if (row["method"], row["pruned"]) == (method, share)]
            points = {row["kept"]: 100 * row["accuracy"] for row in own}
            name = f"{share:.0%} of the others pruned" if len(methods) == 1 else method
            ax.plot(list(points), list(points.values()), marker="o", label=name)
    clean = next(row for row in rows if row["condition"] == "clean")
    ax.axhline(100 * clean["accuracy"], color="grey", linestyle="--", label="nothing pruned")
    ax.set(xscale="log", xlabel="neurons kept a layer", ylabel="top-1 accuracy, %")
    ax.legend()
    return figure, ax
