"""When masks of neurons are chosen, and how many neurons are pruned by then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from nplight.errors import ArgumentError, check_at_least, check_choice, described

Kind = Literal["constant", "linear", "cubic"]

SCHEDULES: Mapping[str, Callable[[float], float]] = MappingProxyType(
    {
        "constant": lambda _: 1.0,
        "linear": lambda progress: progress,
        "cubic": lambda progress: 1 - (1 - progress) ** 3,
    }
)
"""Schedule -> what share of the pruning is done at a share of the way, in [0, 1].

`cubic` is that of Zhu and Gupta, "To prune, or not to prune", 2017.
"""


@dataclass(frozen=True, slots=True)
class PruningSchedule:
    """A schedule in optimizer steps.

    Attributes:
        share: of the neurons of every layer that are pruned in the end, in [0, 1).
        kind: one of `SCHEDULES`: `constant` prunes them all at `begin`; `linear` and `cubic` from `begin` to `end`.
        begin: the step at which pruning begins; `linear` and `cubic` choose their first mask `every` steps later.
        end: the step of the last mask; for `constant` the same as `begin`.
        every: steps between masks.
        total: steps of the training.
        again: whether masks are chosen again until the training ends, every `every` steps.

    Raises:
        ArgumentError: a setting is wrong, or the schedule goes beyond the training.

    Examples:
        >>> from nplight.pruning import PruningSchedule
        >>> schedule = PruningSchedule(share=0.5, kind="linear", begin=0, end=10, every=5, total=20)
        >>> [round(schedule.share_at(step), 2) for step in (0, 5, 10)]
        [0.0, 0.25, 0.5]
    """

    share: float
    kind: Kind
    begin: int
    end: int
    every: int
    total: int
    again: bool = False

    def __post_init__(self) -> None:
        check_share(self.share)
        check_choice("schedule", self.kind, SCHEDULES)
        check_at_least("begin", self.begin, 0)
        check_at_least("every", self.every, 1)
        if self.kind == "constant" and self.end != self.begin:
            raise ArgumentError(
                f"`end` is for the schedules 'linear' and 'cubic', got {self.end} with 'constant', which prunes at once"
            )
        if self.kind != "constant" and self.end <= self.begin:
            raise ArgumentError(f"`end` must be after `begin`, step {self.begin}, got {self.end}")
        if self.end >= self.total:
            name = "begin" if self.begin >= self.total else "end"
            raise ArgumentError(
                f"`{name}` must be a step of the training, which has {self.total}, "
                f"got {self.begin if name == 'begin' else self.end}; end the schedule earlier, or train longer"
            )

    @classmethod
    def of_training(
        cls,
        share: float,
        kind: Kind,
        total: float,
        *,
        begin: int = 0,
        end: int | None = None,
        every: int | None = None,
        again: bool = False,
    ) -> PruningSchedule:
        """A schedule for a training of `total` steps; what is left out is chosen by its length.

        Args:
            share: as the attribute.
            kind: as the attribute.
            total: steps of the training; infinite where they are not known.
            begin: as the attribute.
            end: as the attribute; `None`: `begin` for `constant`, else half of the training.
            every: as the attribute; `None`: a twentieth of the training.
            again: as the attribute.

        Raises:
            ArgumentError: a setting is wrong, or the training has no end.
        """
        if not 0 < total < float("inf"):
            raise ArgumentError(
                f"the training must have a known number of steps, which the schedule is part of, got {total}; set "
                f"max_epochs or max_steps of the Trainer"
            )
        steps = int(total)
        if end is None:
            end = begin if kind == "constant" else max(steps // 2, begin + 1)
        return cls(share, kind, begin, end, max(1, steps // 20) if every is None else every, steps, again)

    def masks_until(self, step: int) -> int:
        """How many masks have been chosen before a step is taken."""
        if step < self.begin:
            return 0
        length = self.end - self.begin
        # The others have pruned nothing yet at their first step.
        first = 1 if self.kind == "constant" else 0
        if step < self.end:
            return (step - self.begin) // self.every + first
        count = -(-length // self.every) + first
        return count + (step - self.end) // self.every if self.again else count

    def share_at(self, step: int) -> float:
        """The share of the neurons that is pruned at a step."""
        if step < self.begin:
            return 0.0
        progress = 1.0 if step >= self.end else (step - self.begin) / (self.end - self.begin)
        return self.share * SCHEDULES[self.kind](progress)


def check_share(share: float) -> None:
    """Refuse a share of pruned neurons outside [0, 1).

    Raises:
        ArgumentError: naming the rule.
    """
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share < 1:
        raise ArgumentError(
            f"`share` must be the pruned share of the neurons, in [0, 1), such as 0.5, got {described(share)}"
        )
