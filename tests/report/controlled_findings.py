"""Made-up findings of searches beside random neurons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nplight.metrics import MEASURES, Condition, ConditionResult, Estimate
from nplight.results import Comparison, ControlDifference, Findings

IMAGES = 143
CLEAN = 0.97
REMOVED, ENHANCED = Condition("removed", 1), Condition("enhanced", 1)
KEPT = tuple(Condition("kept", size, 1.0) for size in (1, 5, 10))
KEPT_ALL = tuple(Condition("kept", size, 1.0, "all") for size in (1, 5))
PARTLY = Condition("kept", 5, 0.3)
NONE = Condition("none")
LEADS = {REMOVED: -0.03, ENHANCED: 0.0, KEPT[0]: 0.08, KEPT[1]: 0.2, KEPT[2]: 0.1, KEPT_ALL[0]: 0.0, KEPT_ALL[1]: 0.05}


def estimate(value: float, width: float = 0.01) -> Estimate:
    return Estimate(value, value - width, value + width, IMAGES)


def controlled_findings(
    searches: Sequence[str] = ("jas", "joint_integrated_gradients"),
    leads: Mapping[Condition, float] = LEADS,
    *,
    control: str | None = "random",
    notes: Sequence[str] = (),
) -> Findings:
    """Findings in which every search is ahead of random neurons by `leads` of a probability, give or take 0.01."""
    edited = [*leads, PARTLY]
    rows = [_result("", Condition("clean"), CLEAN), _result("", NONE, 0.6)]
    rows += [_result(search, condition, _path(leads, condition)) for search in searches for condition in edited]
    if control:
        rows += [_result(control, one, _path(leads, one) - leads.get(one, 0.0)) for one in edited]
    differences = [
        ControlDifference(search, "random", one, {name: estimate(leads.get(one, 0.0)) for name in MEASURES})
        for search in searches
        for one in edited
    ]
    tested = (*searches, control) if control else tuple(searches)
    return Findings(
        results=rows,
        comparison=Comparison(tested, ()),
        searches=tuple(searches),
        controls=(control,) if control else (),
        claims=[],
        differences=differences if control else [],
        curves={},
        leads={},
        normalised={},
        rationales=[],
        categories=[],
        statistics={},
        agreements={},
        notes=list(notes),
    )


def _path(leads: Mapping[Condition, float], condition: Condition) -> float:
    return 0.7 + max(leads.get(condition, 0.2), 0)


def _result(method: str, condition: Condition, probability: float) -> ConditionResult:
    change = (probability - CLEAN) / CLEAN
    values = {name: estimate(change if row.change else probability) for name, row in MEASURES.items()}
    return ConditionResult(
        method=method,
        condition=condition.name,
        kept=condition.kept,
        pruned=condition.pruned,
        tokens=None if condition.name == "clean" else condition.tokens,
        images=IMAGES,
        values=values,
    )
