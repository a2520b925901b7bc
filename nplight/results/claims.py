"""The paper's claims, tested against the measures of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from nplight.methods import METHODS, is_control, is_proposed
from nplight.metrics import (
    JOINT_SCORE,
    MEASURES,
    Estimate,
    Measure,
    Replicates,
    difference,
    holm_below,
    whole_conditions,
)
from nplight.results.comparison import ComparedMeasure, MethodResult

Verdict = Literal["held", "not held", "undecided"]
Protocol = Literal["held-out", "own"]

PROTOCOLS: dict[Protocol, str] = {
    "held-out": "the path of an image's category, on images that no path was found with",
    "own": "each image's own path, on the images it was found with",
}
"""Name -> which paths are tested on which images."""

KEPT_WITHIN = 0.01
"""Accuracy counts as kept if it falls by less than this fraction, one percentage point."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim and its verdict.

    Attributes:
        text: the claim.
        verdict: `held` or `not held` if the 95% intervals decide it, else `undecided`.
        reason: the number that decides, with its interval.
        protocol: which paths were tested on which images, one of `PROTOCOLS`.
        rival: the method that decides a comparison; `None` for a claim without rivals.

    Examples:
        >>> from nplight.results import Claim
        >>> Claim("removed most", "held", "-3.0% [-5.0, -2.0]").protocol
        'held-out'
    """

    text: str
    verdict: Verdict
    reason: str
    protocol: Protocol = "held-out"
    rival: str | None = None


def paper_claims(results: Sequence[MethodResult], top_k: int) -> list[Claim]:
    """The claims of Wang et al. (ICLR 2025, section 4) on the joint attribution score, tested against a run's measures.

    The path of `jas` is claimed to have the highest joint score, to lose most probability when removed and to gain
    most when enhanced: the last two under each protocol of `PROTOCOLS` that was measured. A comparison is `held` if the
    95% interval of the paired difference to every other method is above 0, which needs no correction for the number of
    rivals (Berger 1982, Technometrics 24, 295), and `not held` if some method is ahead by Holm's procedure (1979).
    Searches under names other than those of `METHODS` are variants and not rivals. Accuracy is claimed to be kept when
    all neurons outside the path are pruned; its reason states what no path and random paths keep, where measured.

    The intervals are over images and random draws, for the category paths that were found.

    Args:
        results: one per method; without `jas` there are no claims.
        top_k: neurons per layer of the path.

    Examples:
        >>> import torch
        >>> from nplight.metrics import Condition, ConditionMetrics
        >>> from nplight.results import MethodResult, paper_claims
        >>> conditions = [Condition("clean"), Condition("removed", kept=1)]
        >>> jas, other = (ConditionMetrics(conditions, num_classes=2) for _ in range(2))
        >>> clean, probability = torch.tensor([[0.75, 0.25]] * 40), torch.linspace(0.2, 0.3, 40)
        >>> lower = torch.stack([probability, 1 - probability], 1)
        >>> jas.update([clean, lower], labels=torch.zeros(40).long(), keys=torch.arange(40))
        >>> other.update([clean, clean], labels=torch.zeros(40).long(), keys=torch.arange(40))
        >>> claims = paper_claims([MethodResult("jas", None, jas), MethodResult("activation", None, other)], top_k=1)
        >>> [(claim.text, claim.verdict) for claim in claims]
        [('jas has the largest loss of probability when removed', 'held')]
    """
    proposed = next((result for result in results if is_proposed(result.method)), None)
    if proposed is None:
        return []
    rivals = [result for result in results if result is not proposed and result.method in METHODS]
    claims = [
        _superlative(
            f"{proposed.method} has the highest joint score", "own", (proposed, rivals), ComparedMeasure(JOINT_SCORE)
        ),
        *_effects(proposed, rivals),
        _kept(proposed, results, top_k),
    ]
    return [claim for claim in claims if claim is not None]


def _effects(proposed: MethodResult, rivals: Sequence[MethodResult]) -> Iterator[Claim | None]:
    """The claims on removed and enhanced paths, under each protocol."""
    claimed: dict[str, tuple[Protocol, str]] = {
        "removed": ("held-out", "the largest loss of probability when removed"),
        "enhanced": ("held-out", "the largest gain when enhanced"),
        "own removed": ("own", "the largest loss of probability when removed"),
        "own enhanced": ("own", "the largest gain when enhanced"),
    }
    own = () if proposed.own is None else proposed.own.conditions
    measured = [*whole_conditions(proposed.metrics.conditions), *own]
    for name, (protocol, what) in claimed.items():
        for condition in (condition for condition in measured if condition.name == name):
            compared = ComparedMeasure(MEASURES["probability_deviation"], condition)
            yield _superlative(f"{proposed.method} has {what}", protocol, (proposed, rivals), compared)


def _superlative(
    text: str, protocol: Protocol, methods: tuple[MethodResult, Sequence[MethodResult]], compared: ComparedMeasure
) -> Claim | None:
    proposed, rivals = methods
    value = proposed.replicates(compared)
    pairs: dict[str, tuple[Replicates, Replicates]] = {}
    for rival in rivals:
        other = rival.replicates(compared)
        if value is not None and other is not None:
            pairs[rival.method] = (value, other) if compared.sign > 0 else (other, value)
    if not pairs:
        return None
    leads = {name: difference(*pair) for name, pair in pairs.items()}
    ahead = holm_below(list(pairs), lambda name, level: difference(*pairs[name], level=level))
    verdict: Verdict = "held" if all(lead.low > 0 for lead in leads.values()) else "not held" if ahead else "undecided"
    decides = min(ahead or leads, key=lambda name: leads[name].value)
    role = "the closest" if verdict == "held" else f"ahead with {len(ahead) - 1} more" if len(ahead) > 1 else ""
    lead = _with_interval(leads[decides], compared.measure, "+.3g")
    lead += " points" if compared.measure.unit == "%" else ""  # a difference between two values in percent
    return Claim(text, verdict, f"{lead} against {', '.join(filter(None, (decides, role)))}", protocol, decides)


def _kept(proposed: MethodResult, results: Sequence[MethodResult], top_k: int) -> Claim | None:
    conditions = whole_conditions(proposed.metrics.conditions)
    everything = next((one for one in conditions if (one.name, one.kept, one.pruned) == ("kept", top_k, 1)), None)
    if everything is None:
        return None
    change = proposed.metrics.estimate(everything, "accuracy_deviation")
    verdict: Verdict = (
        "held" if change.low > -KEPT_WITHIN else "not held" if change.high < -KEPT_WITHIN else "undecided"
    )
    floors = dict[str, Estimate]()
    for condition in (condition for condition in conditions if condition.name == "none"):
        floors["no neuron kept"] = proposed.metrics.estimate(condition, "accuracy_deviation")
    for control in (result for result in results if is_control(result.method) and result is not proposed):
        if everything in control.metrics.conditions:
            floors[f"{control.method} neurons kept"] = control.metrics.estimate(everything, "accuracy_deviation")
    reason = "; ".join([_points(change), *(f"with {name} {_points(floor)}" for name, floor in floors.items())])
    return Claim(
        f"pruning all but {top_k} of {proposed.method}'s neurons a layer keeps accuracy, "
        f"within {KEPT_WITHIN * 100:.0f} point",
        verdict,
        reason,
    )


def _points(change: Estimate) -> str:
    measure = MEASURES["accuracy_deviation"]
    return f"{_with_interval(change, measure, measure.format)} {measure.unit}"


def _with_interval(estimate: Estimate, measure: Measure, form: str) -> str:
    """A value with its interval in the measure's unit, in another format than the measure's tables."""
    value, low, high = (
        format(number * measure.factor, form) for number in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} [–]" if estimate.low != estimate.low else f"{value} [{low}, {high}]"
