"""The table of the search methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor

from nplight.attribution import PathScores, Problem, Settled, settled_layer
from nplight.methods.activation import activation
from nplight.methods.conductance import conductance
from nplight.methods.cross_layer import cross_layer
from nplight.methods.gradient_activation import gradient_activation
from nplight.methods.greedy_removal import greedy_removal
from nplight.methods.influence_pattern import influence_pattern
from nplight.methods.influence_pattern_chain import influence_pattern_chain
from nplight.methods.integrated_gradients import integrated_gradients
from nplight.methods.jas import jas
from nplight.methods.joint_integrated_gradients import (
    gate_scores,
    gate_scores_held,
    joint_integrated_gradients,
    joint_integrated_gradients_held,
)
from nplight.methods.joint_positive_gradients import joint_positive_gradients, positive_gate_scores
from nplight.methods.random import random


@dataclass(frozen=True, slots=True)
class Method:
    """A search method and its properties.

    Attributes:
        run: takes a `Problem`; returns the scores of the neurons per layer, (images, width), larger is better; or the
            rankings, if the scores of a layer depend on the neurons chosen before, so that the method ranks them.
        frozen: whether it can search with a frozen patch stream.
        joint: the scores of a layer's neurons after a given path, (images, width), whose sum over the images of a
            category chooses their joint path (`CategorySearch`): takes a `Problem` and the path in the layers before,
            (images, l, K). `None`: the method searches each image separately.
        seeded: whether the setting `seed` changes the result.
        measures: whether it measures candidates, so that the setting `candidates` changes the result.
        one_line: whether the nodes are those of one line through all layers, m in all instead of m per layer.
        control: whether it is a control, independent of model and target, with which the others are compared.
        proposed: whether it is the method that the paper proposes; the claims of the paper are tested for it.

    Examples:
        >>> from nplight.methods import METHODS
        >>> METHODS["jas"].proposed, METHODS["random"].control
        (True, True)
    """

    run: Callable[[Problem], Sequence[Tensor] | Settled | PathScores]
    frozen: bool = False
    joint: Callable[[Problem, Tensor], Settled | Tensor] | None = None
    seeded: bool = False
    measures: bool = False
    one_line: bool = False
    control: bool = False
    proposed: bool = False


_ROWS = {
    "jas": Method(jas, frozen=True, joint=settled_layer, proposed=True),
    "joint_integrated_gradients": Method(joint_integrated_gradients, frozen=True, joint=gate_scores),
    "joint_integrated_gradients_held": Method(joint_integrated_gradients_held, frozen=True, joint=gate_scores_held),
    "joint_positive_gradients": Method(joint_positive_gradients, frozen=True, joint=positive_gate_scores),
    "activation": Method(activation),
    "influence_pattern": Method(influence_pattern, one_line=True),
    "influence_pattern_chain": Method(influence_pattern_chain, one_line=True),
    "integrated_gradients": Method(integrated_gradients),
    "conductance": Method(conductance),
    "gradient_activation": Method(gradient_activation),
    "cross_layer": Method(cross_layer),
    "greedy_removal": Method(greedy_removal, frozen=True, measures=True),
    "random": Method(random, seeded=True, control=True),
}

METHODS: Mapping[str, Method] = MappingProxyType(_ROWS)
"""The methods by name, in the order of tables and pages."""


def is_control(search: str) -> bool:
    """Whether a search of this name is a control.

    Examples:
        >>> from nplight.methods import is_control
        >>> is_control("random"), is_control("jas")
        (True, False)
    """
    return search in METHODS and METHODS[search].control


def is_proposed(search: str) -> bool:
    """Whether a search of this name is the method that the paper proposes.

    Examples:
        >>> from nplight.methods import is_proposed
        >>> is_proposed("jas"), is_proposed("random")
        (True, False)
    """
    return search in METHODS and METHODS[search].proposed
