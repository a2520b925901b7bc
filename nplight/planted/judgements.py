"""What a comparison of methods on models of known paths measured, as a table and as a file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nplight.errors import ArgumentError
from nplight.metrics import Estimate
from nplight.planted.judge import MEASURES, Judgement

_KEY = ("case", "method", "measure")


@dataclass(frozen=True, slots=True)
class Judgements:
    """Every measure of every method on every case.

    Attributes:
        objective: what was attributed.
        seeds: models per case.
        estimates: (case, method, measure) -> the measure with its interval, in order.

    Examples:
        >>> from nplight.planted import Judgements, judge
        >>> judgements = Judgements.of(judge("jas", ["chain", "chain-all"]), objective="probability", seeds=1)
        >>> judgements.mean(["chain", "chain-all"], "jas", "recall")
        0.625
    """

    objective: str
    seeds: int
    estimates: Mapping[tuple[str, str, str], Estimate]

    @classmethod
    def of(cls, judgements: Iterable[Judgement], objective: str, seeds: int) -> Judgements:
        """What `judge` gives."""
        estimates = {
            (judgement.case, judgement.method, measure): getattr(judgement, measure)
            for judgement in judgements
            for measure in MEASURES
        }
        return cls(objective, seeds, estimates)

    @property
    def cases(self) -> list[str]:
        """The cases in order."""
        return list(dict.fromkeys(case for case, _, _ in self.estimates))

    @property
    def methods(self) -> list[str]:
        """The methods in order."""
        return list(dict.fromkeys(method for _, method, _ in self.estimates))

    def mean(self, cases: Iterable[str], method: str, measure: str) -> float:
        """The mean over those of the cases that were judged; NaN for none."""
        keys = [(case, method, measure) for case in cases]
        values = [self.estimates[key].value for key in keys if key in self.estimates]
        return math.fsum(values) / len(values) if values else math.nan

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a file."""
        records = [{**dict(zip(_KEY, key)), **value.to_dict()} for key, value in self.estimates.items()]
        return {"objective": self.objective, "seeds": self.seeds, "records": records}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Judgements:
        """What `to_dict` gave.

        Raises:
            ArgumentError: it is something else.
        """
        try:
            estimates = {
                (record["case"], record["method"], record["measure"]): _estimate(record)
                for record in content["records"]
            }
            return cls(content["objective"], content["seeds"], estimates)
        except (KeyError, TypeError) as error:
            raise ArgumentError(
                f"`content` must be what the command `planted` writes, got something without {error}"
            ) from error


def _estimate(record: Mapping[str, Any]) -> Estimate:
    value, low, high = (math.nan if record[name] is None else record[name] for name in ("value", "low", "high"))
    return Estimate(value, low, high, record["images"])
