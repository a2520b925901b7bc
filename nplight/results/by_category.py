"""Every condition's changes by category: a table, and quantiles over the categories."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from nplight.metrics import Condition
from nplight.results.measured_paths import MeasuredPaths

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)

_CONDITION = ("method", "condition", "kept", "pruned", "tokens", "layers", "scale", "category", "images")


def category_columns(tested: MeasuredPaths) -> tuple[str, ...]:
    """The columns of the table: method, condition, category, number of images, and every measure that is a change.

    Args:
        tested: what was measured.

    Examples:
        >>> from nplight.metrics import Condition, ConditionMetrics
        >>> from nplight.results import MeasuredPaths, category_columns
        >>> metrics = ConditionMetrics([Condition("clean"), Condition("removed", kept=1)], num_classes=2)
        >>> category_columns(MeasuredPaths({"jas": metrics}))[-2:]
        ('probability_deviation', 'accuracy_deviation')
    """
    return (*_CONDITION, *_changes(tested))


def condition_fields(condition: Condition) -> dict[str, Any]:
    """The condition as columns of a file.

    Examples:
        >>> from nplight.metrics import Condition
        >>> from nplight.results import condition_fields
        >>> condition_fields(Condition("kept", kept=5, pruned=1.0))
        {'condition': 'kept', 'kept': 5, 'pruned': 1.0, 'tokens': 'path', 'layers': None, 'scale': None}
    """
    return {
        "condition": condition.name,
        "kept": condition.kept,
        "pruned": condition.pruned,
        "tokens": None if condition.unedited else condition.tokens,
        "layers": condition.layers,
        "scale": condition.scale,
    }


def category_rows(tested: MeasuredPaths, num_classes: int) -> Iterator[dict[str, Any]]:
    """One row per search or control, condition with a path, and category with images: the mean changes of its images.

    Args:
        tested: what was measured, over all processes.
        num_classes: number of categories.

    Examples:
        >>> import torch
        >>> from nplight.metrics import Condition, ConditionMetrics
        >>> from nplight.results import MeasuredPaths, category_rows
        >>> metrics = ConditionMetrics([Condition("clean"), Condition("removed", kept=1)], num_classes=2)
        >>> clean, lower = torch.tensor([[0.75, 0.25]]), torch.tensor([[0.25, 0.75]])
        >>> metrics.update([clean, lower], labels=torch.tensor([0]), keys=torch.tensor([0]))
        >>> measured = MeasuredPaths({"jas": metrics})
        >>> (row,) = category_rows(measured, num_classes=2)  # category 1 has no image
        >>> row["condition"], row["category"], row["images"], row["accuracy_deviation"]
        ('removed', 0, 1, -1.0)
    """
    for method, metrics in tested.metrics.items():
        changes = {name: metrics.by_category(name) for name in _changes(tested)}
        for position, condition in enumerate(metrics.conditions):
            if condition.kept is None:
                continue
            for category in range(num_classes):
                images = int(max(means.images[position, category] for means in changes.values()))
                if images:
                    yield {
                        "method": method,
                        **condition_fields(condition),
                        "category": category,
                        "images": images,
                        **{name: _plain(means.values[position, category].item()) for name, means in changes.items()},
                    }


def category_quantiles(tested: MeasuredPaths) -> list[dict[str, Any]]:
    """One row per search or control and condition with a path: quantiles of each change over the categories.

    Args:
        tested: what was measured, over all processes.
    """
    rows = []
    for method, metrics in tested.metrics.items():
        changes = {name: metrics.by_category(name).values for name in _changes(tested)}
        for position, condition in enumerate(metrics.conditions):
            if condition.kept is None:
                continue
            row = {"method": method, **condition_fields(condition), "quantiles": list(QUANTILES)}
            for name, means in changes.items():
                values = means[position][~means[position].isnan()]
                levels = torch.tensor(QUANTILES, dtype=torch.float64, device=values.device)
                row[name] = [_plain(value) for value in values.quantile(levels).tolist()] if len(values) else []
            rows.append(row)
    return rows


def _changes(tested: MeasuredPaths) -> list[str]:
    return [name for name, measure in tested.measured.items() if measure.change]


def _plain(value: float) -> float | None:
    return None if value != value else float(f"{value:.7g}")
