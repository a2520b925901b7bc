"""The findings of a run: its measures, comparisons and claims, for files and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

from nplight.errors import check_choice
from nplight.metrics import (
    Agreement,
    Condition,
    ConditionMeasure,
    ConditionResult,
    Estimate,
    FaithfulnessCurve,
    NormalisedFaithfulness,
    estimate,
    measures_among,
)
from nplight.results.by_category import category_quantiles
from nplight.results.claims import Claim, paper_claims
from nplight.results.comparison import Comparison, MethodResult, compare
from nplight.results.differences import ControlDifference, control_differences
from nplight.results.faithfulness import accuracy_curves, area_leads, normalised_curves
from nplight.results.measured_paths import MeasuredPaths
from nplight.results.path_statistics import PathStatistics, path_statistics, table_agreement
from nplight.results.rationales import Rationale, rationales
from nplight.store import PathTable

_NO_METHODS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Findings:
    """The findings of a run.

    Attributes:
        results: one entry per condition and search or control; conditions without a path once, with `clean` first.
        comparison: of the searches and controls.
        searches: the names of the searches of the run.
        controls: the names of the results of controls.
        claims: the paper's claims with their verdicts.
        differences: of every search to its controls, under every condition with a path.
        curves: search or control -> accuracy against neurons kept at the main tokens.
        leads: search -> area under its curve minus that of random neurons; empty without that control.
        normalised: search or control -> normalised faithfulness, of several measures and tokens.
        rationales: sufficiency and comprehensiveness.
        categories: quantiles over categories of every condition's changes, as rows.
        statistics: search -> statistics of its image paths; empty without image paths.
        agreements: search -> agreement of its image paths with those of the first.
        notes: sentences that a reader must know.

    Examples:
        >>> import torch
        >>> from nplight.metrics import Condition, ConditionMetrics
        >>> from nplight.results import MeasuredPaths, findings
        >>> metrics = ConditionMetrics([Condition("clean"), Condition("removed", kept=1)], num_classes=2)
        >>> clean, lower = torch.tensor([[0.75, 0.25]]), torch.tensor([[0.25, 0.75]])
        >>> metrics.update([clean, lower], labels=torch.tensor([0]), keys=torch.tensor([0]))
        >>> measured = MeasuredPaths({"jas": metrics})
        >>> result = findings(measured, None, top_k=1, widths=(4, 4), num_classes=2, replicates=10)
        >>> [(row["condition"], row["accuracy"], row["probability"]) for row in result.rows()]
        [('clean', 1.0, 0.75), ('removed', 0.0, 0.25)]
    """

    results: list[ConditionResult]
    comparison: Comparison
    searches: tuple[str, ...]
    controls: tuple[str, ...]
    claims: list[Claim]
    differences: list[ControlDifference]
    curves: dict[str, FaithfulnessCurve]
    leads: dict[str, Estimate]
    normalised: dict[str, list[NormalisedFaithfulness]]
    rationales: list[Rationale]
    categories: list[dict[str, Any]]
    statistics: dict[str, PathStatistics]
    agreements: dict[str, Agreement]
    notes: list[str]

    @property
    def images(self) -> int:
        """Number of tested images."""
        return self.results[0].images

    @property
    def measures(self) -> dict[str, ConditionMeasure]:
        """The measures of the run by name."""
        values = self.results[0].values
        return {name: row for name, row in measures_among(values).items() if name in values}

    def difference(
        self, method: str, condition: Condition, measure: str, *, control: str = "random"
    ) -> Estimate | None:
        """A measure of a search minus that of its control, paired; `None` if there is none.

        Args:
            method: the search.
            condition: under which both were measured.
            measure: one of `measures`.
            control: one of `CONTROLS`.

        Raises:
            ArgumentError: the run has no such measure.
        """
        check_choice("measure", measure, self.measures)
        wanted = (method, control, condition)
        for one in self.differences:
            if (one.method, one.control, one.condition) == wanted:
                return one.values.get(measure)
        return None

    def rows(self) -> list[dict[str, Any]]:
        """The results as rows of a file, each with its differences to the controls."""
        differences: dict[tuple[str, Condition], dict[str, Any]] = {}
        for one in self.differences:
            differences.setdefault((one.method, one.condition), {}).update(one.to_dict())
        return [{**result.to_dict(), **differences.get((result.method, result.key), {})} for result in self.results]

    def to_dict(self) -> dict[str, Any]:
        """Plain values of all fields except `results` and `differences`, for a file."""
        agreements = {
            name: {"neurons": estimate(agreement.neurons).to_dict(), "whole_paths": estimate(agreement.whole).to_dict()}
            for name, agreement in self.agreements.items()
        }
        return {
            "images": self.images,
            "notes": self.notes,
            "methods": list(self.searches),
            "controls": list(self.controls),
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
            "normalised_faithfulness": {
                name: [curve.to_dict() for curve in curves] for name, curves in self.normalised.items()
            },
            "rationales": [rationale.to_dict() for rationale in self.rationales],
            "by_category": self.categories,
            "paths": {name: statistics.to_dict() for name, statistics in self.statistics.items()},
            "method_agreement": {"with": next(iter(self.statistics)), **agreements} if agreements else {},
        }


def findings(
    tested: MeasuredPaths,
    table: PathTable | None,
    *,
    top_k: int,
    widths: Sequence[int],
    num_classes: int,
    replicates: int,
    category_methods: Mapping[str, str] = _NO_METHODS,
    notes: Sequence[str] = (),
) -> Findings:
    """Compile the findings of a run.

    Args:
        tested: the metrics of searches and controls, computed over all processes.
        table: the image paths; `None` if there are none.
        top_k: neurons per layer of the path.
        widths: neurons per layer.
        num_classes: number of categories.
        replicates: of the bootstraps over image paths.
        category_methods: search -> the one of `CATEGORY_METHODS` that formed its category paths, for their stability.
        notes: sentences that a reader must know.

    Examples:
        >>> import torch
        >>> from nplight.metrics import Condition, ConditionMetrics
        >>> from nplight.results import MeasuredPaths, findings
        >>> metrics = ConditionMetrics([Condition("clean"), Condition("removed", kept=1)], num_classes=2)
        >>> clean, lower = torch.tensor([[0.75, 0.25]]), torch.tensor([[0.25, 0.75]])
        >>> metrics.update([clean, lower], labels=torch.tensor([0]), keys=torch.tensor([0]))
        >>> measured = MeasuredPaths({"jas": metrics})
        >>> result = findings(measured, None, top_k=1, widths=(4, 4), num_classes=2, replicates=10)
        >>> result.searches, result.images, result.comparison.under("removed")[0].texts
        (('jas',), 1, ['-66.67'])
    """
    metrics = tested.metrics
    statistics, agreements = {}, {}
    tables = {} if table is None else {name: table.where(search=name) for name in table.searches if "@" not in name}
    for name, paths in tables.items():
        statistics[name] = path_statistics(
            paths,
            num_classes=num_classes,
            width=max(widths),
            replicates=replicates,
            category_paths=(top_k, category_methods[name]) if name in category_methods else None,
        )
        first = next(iter(tables))
        if name != first:
            agreements[name] = table_agreement(tables[first], paths, replicates=replicates)
    results = [
        MethodResult(
            name, statistics[name].joint_score if name in statistics else None, conditions, tested.own_of(name)
        )
        for name, conditions in metrics.items()
    ]
    return Findings(
        results=_pathless_once([result for one in results for result in one.results()]),
        comparison=compare(results),
        searches=tested.names or tuple(tested.searches),
        controls=tuple(tested.distinct_controls),
        claims=paper_claims(results, top_k),
        differences=control_differences(tested),
        curves=accuracy_curves(tested, min(widths)),
        leads=area_leads(tested, min(widths)),
        normalised=normalised_curves(tested, min(widths)),
        rationales=rationales(tested),
        categories=category_quantiles(tested),
        statistics=statistics,
        agreements=agreements,
        notes=list(notes),
    )


def _pathless_once(results: Sequence[ConditionResult]) -> list[ConditionResult]:
    """The results with one entry per condition without a path, where searches do not differ; `clean` first."""
    pathless: dict[Condition, ConditionResult] = {}
    for result in results:
        if result.kept is None:
            pathless.setdefault(result.key, replace(result, method=""))
    ordered = sorted(pathless.values(), key=lambda result: result.condition)
    return [*ordered, *(result for result in results if result.kept is not None)]
