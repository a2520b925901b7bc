"""The paper's claims, held against what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nplight.methods import METHODS, is_proposed
from nplight.metrics import JOINT_SCORE, MEASURES, Condition, Estimate, difference, estimate
from nplight.results.comparison import ComparedMeasure, MethodResult

Verdict = Literal["held", "not held", "undecided"]

KEPT_WITHIN = 0.01
"""Accuracy counts as kept when it falls by less than this fraction, a percentage point."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim and what the data say of it.

    Attributes:
        text: the claim.
        verdict: `held` or `not held` where the 95% interval leaves no doubt, `undecided` where it does.
        reason: the number that decides.
    """

    text: str
    verdict: Verdict
    reason: str


def paper_claims(results: Sequence[MethodResult], top_k: int) -> list[Claim]:
    """What Wang et al. (ICLR 2025, section 4) claim of the joint attribution score, held against what was measured.

    The path of `jas` is claimed to have the highest joint score, to lose most probability when removed and to gain
    most when enhanced; each held against every other method by the paired difference, without a correction for the
    number of rivals. Searches under other names than those of `METHODS` are variants, and no rivals. And accuracy is
    claimed to stay when all neurons outside the path are pruned.

    Args:
        results: one per method; without `jas` there is nothing to say.
        top_k: neurons a layer of the path.
    """
    own = next((result for result in results if is_proposed(result.method)), None)
    if own is None:
        return []
    rivals = [result for result in results if result is not own and result.method in METHODS]
    conditions = own.metrics.conditions
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
        claims = [_superlative(f"{own.method} has {text}", own, rivals, compared) for text, compared in superlatives]
    everything = Condition("kept", top_k, 1.0)
    if everything in conditions:
        claims.append(_kept(own.method, top_k, estimate(own.metrics.replicates(everything, "accuracy_deviation"))))
    return [claim for claim in claims if claim is not None]


def _superlative(
    text: str, own: MethodResult, rivals: Sequence[MethodResult], compared: ComparedMeasure
) -> Claim | None:
    mine = own.replicates(compared)
    leads = []
    for rival in rivals:
        theirs = rival.replicates(compared)
        if mine is not None and theirs is not None:
            ahead = (mine, theirs) if compared.sign > 0 else (theirs, mine)
            leads.append((rival.method, difference(*ahead)))
    if not leads:
        return None
    verdict = _verdict([lead for _, lead in leads], 0.0)
    closest, lead = min(leads, key=lambda pair: pair[1].value)
    shown = [format(value * compared.measure.factor, "+.3g") for value in (lead.value, lead.low, lead.high)]
    return Claim(text, verdict, f"{shown[0]} [{shown[1]}, {shown[2]}] against {closest}, the closest")


def _kept(method: str, top_k: int, lost: Estimate) -> Claim:
    shown = [f"{value * 100:+.2f}" for value in (lost.value, lost.low, lost.high)]
    return Claim(
        f"pruning all but {top_k} of {method}'s neurons a layer keeps accuracy, within {KEPT_WITHIN * 100:.0f} point",
        _verdict([lost], -KEPT_WITHIN),
        f"{shown[0]} [{shown[1]}, {shown[2]}] points",
    )


def _verdict(estimates: Sequence[Estimate], bound: float) -> Verdict:
    """Held where every interval is above the bound, not held where one is below."""
    if all(one.low > bound for one in estimates):
        return "held"
    return "not held" if any(one.high < bound for one in estimates) else "undecided"
