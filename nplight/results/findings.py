"""The findings of a run: its measures, comparisons and claims, for files and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from nplight.methods import is_control
from nplight.metrics import (
    Agreement,
    ConditionMetrics,
    ConditionResult,
    Estimate,
    FaithfulnessCurve,
    area_replicates,
    difference,
    estimate,
    faithfulness_curve,
    pruned_accuracy,
)
from nplight.results.claims import Claim, paper_claims
from nplight.results.comparison import Comparison, MethodResult, compare
from nplight.results.path_statistics import PathStatistics, path_statistics, table_agreement
from nplight.store import PathTable


@dataclass(frozen=True, slots=True)
class Findings:
    """The findings of a run.

    Attributes:
        results: one entry per condition and method; `clean` once.
        comparison: of the methods.
        claims: the paper's claims with their verdicts.
        curves: method -> accuracy against neurons kept.
        leads: method -> area under its curve minus that of the control; empty without a control.
        statistics: method -> statistics of its image paths; empty without image paths.
        agreements: method -> agreement of its image paths with those of the first method.
        notes: sentences that a reader must know.
    """

    results: list[ConditionResult]
    comparison: Comparison
    claims: list[Claim]
    curves: dict[str, FaithfulnessCurve]
    leads: dict[str, Estimate]
    statistics: dict[str, PathStatistics]
    agreements: dict[str, Agreement]
    notes: list[str]

    @property
    def images(self) -> int:
        """Number of tested images."""
        return self.results[0].images

    def to_dict(self) -> dict[str, Any]:
        """Plain values of all fields except `results`, for a file."""
        agreements = {
            name: {"neurons": estimate(agreement.neurons).to_dict(), "whole_paths": estimate(agreement.whole).to_dict()}
            for name, agreement in self.agreements.items()
        }
        return {
            "images": self.images,
            "notes": self.notes,
            "methods": list(self.comparison.methods),
            "claims": [asdict(claim) for claim in self.claims],
            "faithfulness": {
                name: {
                    "sizes": list(curve.sizes),
                    "accuracy": [point.to_dict() for point in curve.accuracy],
                    "area": curve.area.to_dict(),
                    **({"ahead_of_random": self.leads[name].to_dict()} if name in self.leads else {}),
                }
                for name, curve in self.curves.items()
            },
            "paths": {name: statistics.to_dict() for name, statistics in self.statistics.items()},
            "method_agreement": {"with": self.comparison.methods[0], **agreements} if agreements else {},
        }


def findings(
    metrics: Mapping[str, ConditionMetrics],
    table: PathTable | None,
    *,
    top_k: int,
    widths: Sequence[int],
    num_classes: int,
    notes: Sequence[str] = (),
    category_method: str = "frequency",
) -> Findings:
    """Compile the findings of a run.

    Args:
        metrics: method -> its metrics, computed over all processes.
        table: the image paths; `None` if there are none.
        top_k: neurons per layer of the path.
        widths: neurons per layer.
        num_classes: number of categories.
        notes: sentences that a reader must know.
        category_method: how the category paths were formed, one of `CATEGORY_METHODS`.
    """
    replicates = next(iter(metrics.values())).measures.replicates
    statistics, agreements = {}, {}
    tables = {} if table is None else {name: table.where(search=name) for name in metrics if name in table.searches}
    for name, paths in tables.items():
        statistics[name] = path_statistics(
            paths,
            num_classes=num_classes,
            width=max(widths),
            replicates=replicates,
            category_paths=(top_k, category_method),
        )
        first = next(iter(tables))
        if name != first:
            agreements[name] = table_agreement(tables[first], paths, replicates=replicates)
    results = [
        MethodResult(name, statistics[name].joint_score if name in statistics else None, conditions)
        for name, conditions in metrics.items()
    ]
    curves, leads = _faithfulness(metrics, min(widths))
    return Findings(
        results=_clean_once([result for conditions in metrics.values() for result in conditions.compute()]),
        comparison=compare(results),
        claims=paper_claims(results, top_k),
        curves=curves,
        leads=leads,
        statistics=statistics,
        agreements=agreements,
        notes=list(notes),
    )


def _faithfulness(
    metrics: Mapping[str, ConditionMetrics], total: int
) -> tuple[dict[str, FaithfulnessCurve], dict[str, Estimate]]:
    points = {name: pruned_accuracy(conditions, total) for name, conditions in metrics.items()}
    points = {name: curve for name, curve in points.items() if len(curve[0]) > 1}
    curves = {name: faithfulness_curve(*curve, total) for name, curve in points.items()}
    areas = {name: area_replicates(*curve, total) for name, curve in points.items()}
    controls = [name for name in areas if is_control(name)]
    rivals = {name: area for name, area in areas.items() if controls and name not in controls}
    return curves, {name: difference(area, areas[controls[0]]) for name, area in rivals.items()}


def _clean_once(results: Sequence[ConditionResult]) -> list[ConditionResult]:
    """The results with a single `clean` entry: without an edit the methods do not differ."""
    clean = [replace(result, method="") for result in results if result.condition == "clean"][:1]
    return [*clean, *(result for result in results if result.condition != "clean")]
