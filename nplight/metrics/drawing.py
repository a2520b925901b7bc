"""Plots of metrics with matplotlib, which is imported on first use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from nplight.metrics.replicates import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from nplight.metrics.measures import Measure

Drawing = tuple["Figure", "Axes"]


def canvas(ax: Axes | None) -> Drawing:
    """The figure and axes to draw on; `None`: a new figure."""
    if ax is not None:
        return cast("Figure", ax.get_figure(root=True)), ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")


def draw_estimates(names: Sequence[str], estimates: Sequence[Estimate], ax: Axes | None, *, unit: str) -> Drawing:
    """Values side by side, with their 95% intervals."""
    figure, ax = canvas(ax)
    values = torch.tensor(
        [[estimate.low, estimate.value, estimate.high] for estimate in estimates], dtype=torch.float64
    )
    low, middle, high = values.T
    ax.errorbar(names, middle.tolist(), [(middle - low).tolist(), (high - middle).tolist()], fmt="o", capsize=3)
    ax.set_ylabel(unit)
    return figure, ax


def draw_matrix(values: Tensor, ax: Axes | None, *, rows: str, columns: str, unit: str) -> Drawing:
    """A heat map of (rows, columns), with a colour bar."""
    figure, ax = canvas(ax)
    image = ax.imshow(values.cpu().float().numpy(), cmap="cividis", aspect="auto", interpolation="nearest")
    figure.colorbar(image, ax=ax, label=unit)
    ax.set(xlabel=columns, ylabel=rows)
    return figure, ax


def pruning_rows(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows of a path kept, with neurons pruned in all layers at the main tokens, those of the first such row.

    Args:
        rows: from `ConditionResult.to_dict`; files of older versions name neither tokens nor layers.
    """
    kept = [row for row in rows if row["condition"] == "kept" and row.get("layers") is None]
    return [row for row in kept if row.get("tokens") == kept[0].get("tokens")]


def draw_pruning(results: Sequence[Mapping[str, Any]], ax: Axes | None, measure: Measure) -> Drawing:
    """A measure against neurons kept per layer; the clean value is a dashed line.

    One method: one line per pruned share of the other neurons. Several methods: one line per method, at the largest
    share.

    Args:
        results: from `ConditionResult.to_dict`.
        ax: the axes; `None`: a new figure.
        measure: the measure to draw.
    """
    figure, ax = canvas(ax)
    kept = pruning_rows(results)
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
