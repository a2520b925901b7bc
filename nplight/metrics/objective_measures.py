"""Measures of the objectives that a run's searches attribute, beside those of `MEASURES`.

The objective `probability` is a measure of every run. Of the others, the mean value and the mean change are measures of
the runs in which a search has that objective. The change is a difference, not a relative change as of the probability:
a logit has no origin that a share of it could refer to, and log-probabilities and margins approach or cross 0.

Values are computed from logits: a float32 probability is 1 from a margin of about 17 on, and its logarithm then 0.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from types import MappingProxyType

import torch
from torch import Tensor

from nplight.attribution import OBJECTIVES, check_objective
from nplight.errors import ArgumentError, NonFiniteError
from nplight.metrics.measures import MEASURES, ConditionMeasure
from nplight.metrics.predicted_batch import PredictedBatch


def _value(objective: str, batch: PredictedBatch) -> Tensor:
    if batch.logits is None:
        raise ArgumentError(
            f"the measure of the objective {objective!r} must be computed from logits, got probabilities; "
            "give logits, with `logits=True`"
        )
    values = torch.stack([OBJECTIVES[objective](logits, batch.labels) for logits in batch.logits], 1).double()
    non_finite = (~values.isfinite()).any(1).nonzero().flatten().tolist()
    if non_finite:
        raise NonFiniteError(f"the {objective} of the label is NaN or infinite under an edit", non_finite)
    return values


def _change(objective: str, batch: PredictedBatch) -> Tensor:
    values = _value(objective, batch)
    return values - values[:, batch.clean, None]


def _rows(objective: str, heading: str, description: str) -> tuple[ConditionMeasure, ConditionMeasure]:
    """The measures of an objective: its value, and its change."""
    name = objective.replace("-", "_")
    return (
        ConditionMeasure(
            name=name,
            title=objective,
            unit="nats",
            format=".2f",
            heading=heading,
            description=f"mean {description}, in nats",
            per_image=partial(_value, objective),
            normalised=True,
            compared=("kept",),
        ),
        ConditionMeasure(
            name=f"{name}_deviation",
            title=f"Δ {objective}",
            unit="nats",
            format="+.2f",
            heading=f"Δ {heading}",
            description=f"mean change of the {description}, in nats",
            per_image=partial(_change, objective),
            change=True,
            compared=("removed", "enhanced"),
        ),
    )


OBJECTIVE_MEASURES: Mapping[str, tuple[ConditionMeasure, ...]] = MappingProxyType(
    {
        "log-probability": _rows("log-probability", "log p", "log-probability of the label"),
        "logit": _rows("logit", "logit", "logit of the label"),
        "margin": _rows("margin", "margin", "margin of the label, its logit minus the largest other"),
    }
)
"""Objective -> its measures, the value and the change; `probability` has rows in `MEASURES`."""


def measures_of(objectives: Iterable[str] = ()) -> dict[str, ConditionMeasure]:
    """The measures of a run by name: those of `MEASURES`, then those of its objectives in the order of `OBJECTIVES`.

    Args:
        objectives: of the searches of the run, each one of `OBJECTIVES`.

    Raises:
        ArgumentError: an unknown objective.

    Examples:
        >>> from nplight.metrics import measures_of
        >>> list(measures_of(["logit"]))[-2:]
        ['logit', 'logit_deviation']
    """
    chosen = set(objectives)
    for objective in chosen:
        check_objective(objective)
    rows = [row for objective, rows in OBJECTIVE_MEASURES.items() if objective in chosen for row in rows]
    return {**MEASURES, **{row.name: row for row in rows}}


def measures_among(names: Collection[str]) -> dict[str, ConditionMeasure]:
    """The measures of a stored run by name: those of `MEASURES`, then those of objectives that it has values of.

    Args:
        names: of measures, other names among them; such as the columns of `metrics.csv`.

    Examples:
        >>> from nplight.metrics import measures_among
        >>> "logit" in measures_among(["accuracy", "logit"])
        True
    """
    return measures_of(objective for objective, rows in OBJECTIVE_MEASURES.items() if rows[0].name in names)
