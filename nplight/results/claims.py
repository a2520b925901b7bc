"""The paper's claims, tested against the measures of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nplight.methods import METHODS, is_proposed
from nplight.metrics import JOINT_SCORE, MEASURES, Condition, Estimate, Measure, difference, estimate
from nplight.results.comparison import ComparedMeasure, MethodResult

Verdict = Literal["held", "not held", "undecided"]

KEPT_WITHIN = 0.01
"""Accuracy counts as kept if it falls by less than this fraction, one percentage point."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim and its verdict.

    Attributes:
        text: the claim.
        verdict: `held` or `not held` if the 95% interval decides it, else `undecided`.
        reason: the number that decides, with its interval.
    """

    text: str
    verdict: Verdict
    reason: str


def paper_claims(results: Sequence[MethodResult], top_k: int) -> list[Claim]:
    """The claims of Wang et al. (ICLR 2025, section 4) on the joint attribution score, tested against a run's measures.

    The path of `jas` is claimed to have the highest joint score, to lose most probability when removed and to gain
    most when enhanced. Each claim is tested against every other method by the paired difference, without correction
    for the number of rivals. Searches under names other than those of `METHODS` are variants and not rivals. Accuracy
    is claimed to be kept when all neurons outside the path are pruned.

    Args:
        results: one per method; without `jas` there are no claims.
        top_k: neurons per layer of the path.
    """
    proposed = next((result for result in results if is_proposed(result.method)), None)
    if proposed is None:
        return []
    rivals = [result for result in results if result is not proposed and result.method in METHODS]
    conditions = proposed.metrics.conditions
    claims = []
    if rivals:
        superlatives = [("the highest joint score", ComparedMeasure(JOINT_SCORE))]
        deviation = MEASURES["probability_deviation"]
        for name, what in (("removed", "the largest loss of probability"), ("enhanced", "the largest gain")):
            superlatives += [
                (f"{what} when {name}", ComparedMeasure(deviation, condition))
                for condition in conditions
                if condition.name == name
            ]
        claims = [
            _superlative(f"{proposed.method} has {text}", proposed, rivals, compared) for text, compared in superlatives
        ]
    everything = Condition("kept", top_k, 1.0)
    if everything in conditions:
        change = estimate(proposed.metrics.replicates(everything, "accuracy_deviation"))
        claims.append(_kept(proposed.method, top_k, change))
    return [claim for claim in claims if claim is not None]


def _superlative(
    text: str, proposed: MethodResult, rivals: Sequence[MethodResult], compared: ComparedMeasure
) -> Claim | None:
    proposed_value = proposed.replicates(compared)
    leads = []
    for rival in rivals:
        rival_value = rival.replicates(compared)
        if proposed_value is not None and rival_value is not None:
            better_first = (proposed_value, rival_value) if compared.sign > 0 else (rival_value, proposed_value)
            leads.append((rival.method, difference(*better_first)))
    if not leads:
        return None
    verdict = _verdict([lead for _, lead in leads], 0.0)
    closest, lead = min(leads, key=lambda pair: pair[1].value)
    return Claim(text, verdict, f"{_with_interval(lead, compared.measure, '+.3g')} against {closest}, the closest")


def _kept(method: str, top_k: int, change: Estimate) -> Claim:
    measure = MEASURES["accuracy_deviation"]
    return Claim(
        f"pruning all but {top_k} of {method}'s neurons a layer keeps accuracy, within {KEPT_WITHIN * 100:.0f} point",
        _verdict([change], -KEPT_WITHIN),
        f"{_with_interval(change, measure, measure.format)} {measure.unit}",
    )


def _with_interval(estimate: Estimate, measure: Measure, form: str) -> str:
    """A value with its interval in the measure's unit, in another format than the measure's tables."""
    value, low, high = (
        format(number * measure.factor, form) for number in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} [{low}, {high}]"


def _verdict(estimates: Sequence[Estimate], bound: float) -> Verdict:
    """`held` if every interval is above the bound, `not held` if one is below it."""
    if all(estimate.low > bound for estimate in estimates):
        return "held"
    return "not held" if any(estimate.high < bound for estimate in estimates) else "undecided"
