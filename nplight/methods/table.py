"""The table of the search methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor

from nplight.attribution import PathScores, Problem, layer_scores
from nplight.methods.activation import activation
from nplight.methods.conductance import conductance
from nplight.methods.cross_layer import cross_layer
from nplight.methods.gradient_activation import gradient_activation
from nplight.methods.influence_pattern import influence_pattern
from nplight.methods.influence_pattern_chain import influence_pattern_chain
from nplight.methods.integrated_gradients import integrated_gradients
from nplight.methods.jas import jas
from nplight.methods.random import random


@dataclass(frozen=True, slots=True)
class Method:
    """A search method, and what is special about it.

    Attributes:
        run: takes a `Problem`; gives for each layer the scores of its neurons, (images, width), larger is better; or
            the rankings, of a method that scores a layer's neurons by those chosen before and so ranks them itself.
        frozen: whether it can search with a frozen patch stream.
        joint: the scores of a layer's neurons after a given path, (images, width), by whose sum the images of a
            category get one path jointly (`CategorySearch`): takes a `Problem` and the path in the layers before,
            (images, l, K). `None`: it searches each image alone.
        seeded: whether the setting `seed` matters.
        control: whether it is what others are compared with, blind to model and target.
        proposed: whether it is the method that the paper proposes, whose claims for it are tested.
    """

    run: Callable[[Problem], Sequence[Tensor] | PathScores]
    frozen: bool = False
    joint: Callable[[Problem, Tensor], Tensor] | None = None
    seeded: bool = False
    control: bool = False
    proposed: bool = False


_ROWS = {
    "jas": Method(jas, frozen=True, joint=layer_scores, proposed=True),
    "activation": Method(activation),
    "influence_pattern": Method(influence_pattern),
    "influence_pattern_chain": Method(influence_pattern_chain),
    "integrated_gradients": Method(integrated_gradients),
    "conductance": Method(conductance),
    "gradient_activation": Method(gradient_activation),
    "cross_layer": Method(cross_layer),
    "random": Method(random, seeded=True, control=True),
}

METHODS: Mapping[str, Method] = MappingProxyType(_ROWS)
"""The methods by name, in the order of tables and pages."""


def is_control(search: str) -> bool:
    """Whether a search of this name is that of a control, whatever its settings."""
    return search in METHODS and METHODS[search].control


def is_proposed(search: str) -> bool:
    """Whether a search of this name is that of the method that the paper proposes."""
    return search in METHODS and METHODS[search].proposed
