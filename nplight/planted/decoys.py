"""Inert neurons beside the planted ones: removing them changes no probability."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from nplight.planted.planted_neuron import PlantedNeuron
from nplight.planted.signals import SINK, evidence, logit
from nplight.planted.structures import NUM_CLASSES

# Each common neuron must change a logit less than a planted neuron does, 1 / (depth * K) at least.
_COMMON_SHARE = 0.05


def _loud(depth: int, top_k: int) -> list[PlantedNeuron]:
    return [PlantedNeuron(writes={SINK: 1}, bias=20)] * top_k


def _silent(depth: int, top_k: int) -> list[PlantedNeuron]:
    return [PlantedNeuron(writes={logit(category): 10}, bias=-1) for category in range(NUM_CLASSES)] * top_k


def _common(depth: int, top_k: int) -> list[PlantedNeuron]:
    writes = {logit(category): _COMMON_SHARE / (depth * top_k) for category in range(NUM_CLASSES)}
    return [PlantedNeuron(writes=writes, bias=3)] * top_k


def _correlated(depth: int, top_k: int) -> list[PlantedNeuron]:
    return [PlantedNeuron({evidence(category): 3}, {SINK: 0.1}) for category in range(NUM_CLASSES)] * top_k


DECOYS: Mapping[str, Callable[[int, int], list[PlantedNeuron]]] = MappingProxyType(
    {"loud": _loud, "silent": _silent, "common": _common, "correlated": _correlated}
)
"""Kinds of decoys by name: depth and K of the model -> the decoys of one layer, at least K per kind and image.

- `loud`: always 20 (or the ceiling of the activation); what it writes is read by nothing.
- `silent`: always 0, with strong outgoing weights to a category's logit.
- `common`: always 3, adds the same to every logit; less than a planted neuron does, so that it is inert for the
  probability and for margins, and comes after the planted neurons where a logit alone is attributed.
- `correlated`: three times the evidence of a category; what it writes is read by nothing.
"""
