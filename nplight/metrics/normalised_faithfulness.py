"""Normalised faithfulness: what share of a measure the kept neurons preserve, between none and all of them.

As the circuit track of MIB (Mueller et al. 2025) normalises: f(k) = (m(k) − m(none)) / (m(all) − m(none)), with the
area under f (CPR, the circuit performance ratio) and the area between f and 1 (CMD, the circuit model distance). MIB
integrates over the share of edges kept. Here both areas are over log(1 + neurons kept), from none to all, because paths
have few neurons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nplight.errors import ArgumentError
from nplight.metrics.replicates import Estimate, Replicates, difference, estimate
from nplight.neurons import Tokens

_SMALLEST_CHANGE = 1e-6


@dataclass(frozen=True, slots=True)
class KeptMeasure:
    """A measure against the neurons kept, all others pruned, with replicates of the same images and seed.

    Attributes:
        sizes: neurons kept per layer, increasing from 0, where every neuron is pruned, to all of them.
        values: per size.

    Raises:
        ArgumentError: the sizes do not increase from 0, or are not one for each value.

    Examples:
        >>> import torch
        >>> from nplight.metrics import KeptMeasure, Replicates
        >>> shares = torch.tensor([[0.1], [0.5], [0.9]], dtype=torch.float64)
        >>> none, few, every = (Replicates(share, torch.tensor(20)) for share in shares)
        >>> kept = KeptMeasure(sizes=(0, 5, 256), values=(none, few, every))
        >>> kept.normalised()[:, 0]
        tensor([0.0000, 0.5000, 1.0000], dtype=torch.float64)
    """

    sizes: Sequence[int]
    values: Sequence[Replicates]

    def __post_init__(self) -> None:
        sizes = list(self.sizes)
        if len(sizes) < 2 or sizes[0] != 0 or sizes != sorted(set(sizes)) or len(sizes) != len(self.values):
            raise ArgumentError(
                f"`sizes` must increase from 0 to all neurons, one for each of the {len(self.values)} values, "
                f"got {sizes}"
            )

    @property
    def undefined(self) -> str | None:
        """Why there is no normalised value; `None` if there is one."""
        change = difference(self.values[-1], self.values[0])
        if change.value == change.value and abs(change.value) > _SMALLEST_CHANGE and not change.low <= 0 <= change.high:
            return None
        return (
            f"pruning every neuron changes it by {-change.value:+.3g} [{-change.high:+.3g}, {-change.low:+.3g}], "
            f"which is not clear of 0, so that it cannot divide"
        )

    def normalised(self) -> Tensor:
        """The normalised value per size: (sizes, 1 + replicates) float64; NaN in replicates without a distance."""
        values = torch.stack([replicates.values.double() for replicates in self.values])
        distance = values[-1] - values[0]
        return (values - values[0]) / distance.masked_fill(distance.abs() <= _SMALLEST_CHANGE, torch.nan)


@dataclass(frozen=True, slots=True)
class NormalisedFaithfulness:
    """Normalised faithfulness of one measure at one set of tokens.

    Attributes:
        measure: the name of the measure.
        tokens: the tokens at which neurons were pruned.
        sizes: neurons kept per layer, from 0 to all.
        values: per size; 0 at the first and 1 at the last by definition, without an interval.
        cpr: the area under the curve over log(1 + neurons kept), 1 if the value is 1 at every size.
        cmd: the area between the curve and 1, 0 if the value is 1 at every size.
        undefined: why there are no values; `None` if there are.

    Examples:
        >>> import torch
        >>> from nplight.metrics import KeptMeasure, Replicates, normalised_faithfulness
        >>> shares = torch.tensor([[0.1], [0.5], [0.9]], dtype=torch.float64)
        >>> none, few, every = (Replicates(share, torch.tensor(20)) for share in shares)
        >>> kept = KeptMeasure(sizes=(0, 5, 256), values=(none, few, every))
        >>> curve = normalised_faithfulness(kept, measure="accuracy", tokens="path")
        >>> curve.sizes, [round(value.value, 6) for value in curve.values]
        ((0, 5, 256), [0.0, 0.5, 1.0])
    """

    measure: str
    tokens: Tokens
    sizes: tuple[int, ...]
    values: tuple[Estimate, ...]
    cpr: Estimate | None
    cmd: Estimate | None
    undefined: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a file."""
        return {
            "measure": self.measure,
            "tokens": self.tokens,
            "sizes": list(self.sizes),
            "values": [value.to_dict() for value in self.values],
            "cpr": None if self.cpr is None else self.cpr.to_dict(),
            "cmd": None if self.cmd is None else self.cmd.to_dict(),
            "undefined": self.undefined,
        }


def normalised_faithfulness(kept: KeptMeasure, *, measure: str, tokens: Tokens) -> NormalisedFaithfulness:
    """The curve with its areas and intervals; where it is undefined, the reason.

    Args:
        kept: the measure against the neurons kept.
        measure: the name of the measure.
        tokens: the tokens at which neurons were pruned.

    Examples:
        >>> import torch
        >>> from nplight.metrics import KeptMeasure, Replicates, normalised_faithfulness
        >>> shares = torch.tensor([[0.1], [0.5], [0.9]], dtype=torch.float64)
        >>> kept = KeptMeasure((0, 15, 255), tuple(Replicates(share, torch.tensor(20)) for share in shares))
        >>> curve = normalised_faithfulness(kept, measure="accuracy", tokens="path")
        >>> round(curve.cpr.value, 6), round(curve.cmd.value, 6)
        (0.5, 0.5)
    """
    if reason := kept.undefined:
        return NormalisedFaithfulness(measure, tokens, tuple(kept.sizes), (), None, None, reason)
    images = kept.values[0].images
    curve = kept.normalised()
    inner = [estimate(Replicates(values, images)).rounded() for values in curve[1:-1]]
    ends = [Estimate(value, torch.nan, torch.nan, int(images)) for value in (0.0, 1.0)]
    return NormalisedFaithfulness(
        measure,
        tokens,
        tuple(kept.sizes),
        (ends[0], *inner, ends[1]),
        estimate(Replicates(cpr(kept.sizes, curve), images)).rounded(),
        estimate(Replicates(cmd(kept.sizes, curve), images)).rounded(),
    )


def cpr(sizes: Sequence[int], curve: Tensor) -> Tensor:
    """The area under a normalised curve, over log(1 + neurons kept), by the trapezoid rule.

    Args:
        sizes: neurons kept per layer, increasing from 0.
        curve: (sizes, …).

    Returns:
        (…), 1 if the curve is 1 at every size.
    """
    logarithms = torch.tensor(list(sizes), dtype=torch.float64, device=curve.device).log1p()
    return torch.trapezoid(curve.double(), logarithms, dim=0) / (logarithms[-1] - logarithms[0])


def cmd(sizes: Sequence[int], curve: Tensor) -> Tensor:
    """The area between a normalised curve and 1, arguments and axis as `cpr`; 0 if the curve is 1 at every size."""
    return cpr(sizes, (1 - curve).abs())
