"""One neuron as a planted model has it: what it reads, and what it writes."""

from __future__ import annotations

from dataclasses import dataclass, field

from nplight.planted.signals import Weights


@dataclass(frozen=True, slots=True)
class PlantedNeuron:
    """A neuron of value `activation(reads · stream + bias)`, which adds `writes` to the stream per unit of its value.

    Attributes:
        reads: signal -> weight.
        writes: signal -> weight.
        bias: of the pre-activation.
    """

    reads: Weights = field(default_factory=dict)
    writes: Weights = field(default_factory=dict)
    bias: float = 0.0
