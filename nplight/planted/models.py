"""All models of known paths by name: the planted cases and the trigger models."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Protocol

from nplight.planted.case import PlantedCase
from nplight.planted.planted_model import PlantedModel
from nplight.planted.table import PLANTED
from nplight.planted.trigger import build_trigger
from nplight.planted.trigger_case import TRIGGERS


class Builder(Protocol):
    """A function that makes a model with known paths.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted, judge
        >>> def chain_of_later_seed(*, seed):
        ...     return build_planted(PLANTED["chain"], seed=100 + seed)
        ...
        >>> (judgement,) = judge("jas", {"chain of a later seed": chain_of_later_seed})
        >>> judgement.case, judgement.recall.value
        ('chain of a later seed', 1.0)
    """

    def __call__(self, *, seed: int) -> PlantedModel:
        """The model of a seed."""


MODELS: Mapping[str, PlantedCase | Builder] = MappingProxyType(
    {**PLANTED, **{name: partial(build_trigger, case) for name, case in TRIGGERS.items()}}
)
"""What `judge` takes by name."""
