"""Which neuron of a layer does what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nplight.planted.case import PlantedCase
from nplight.planted.decoys import DECOYS
from nplight.planted.patterned_images import NOISES
from nplight.planted.planted_neuron import PlantedNeuron
from nplight.planted.signals import noise
from nplight.planted.structures import NUM_CLASSES, STRUCTURES

WIDTH = 256

# Of the weights by which background neurons read and write noise: their values stay below those of planted neurons.
_BACKGROUND_READS = 0.12
_BACKGROUND_WRITES = 0.05


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """The neurons of a layer, in the order of their indices.

    Attributes:
        neurons: one per index.
        truth: (categories, K) int64, the indices of the planted ones.
        decoys: (decoys,) int64, those of the decoys.
    """

    neurons: Sequence[PlantedNeuron]
    truth: Tensor
    decoys: Tensor


def layer_plans(case: PlantedCase, generator: torch.Generator) -> list[LayerPlan]:
    """The plan of every layer, planted neurons and decoys at random indices, background neurons at the others."""
    circuits = [STRUCTURES[case.structure].circuit(category, case.depth, case.top_k) for category in range(NUM_CLASSES)]
    plans = []
    for layer in range(case.depth):
        planted = [neuron for circuit in circuits for neuron in circuit[layer]]
        decoys = [neuron for name in case.decoys for neuron in DECOYS[name](case.depth, case.top_k)]
        count = len(planted) + len(decoys)
        background = [_background(generator) for _ in range(WIDTH - count)]
        neurons = planted + decoys + background
        indices = torch.randperm(WIDTH, generator=generator)
        truth = indices[: len(planted)].view(NUM_CLASSES, case.top_k)
        ordered = [neurons[number] for number in indices.argsort().tolist()]
        plans.append(LayerPlan(ordered, truth, indices[len(planted) : count]))
    return plans


def _background(generator: torch.Generator) -> PlantedNeuron:
    """A neuron that reads noise and writes noise, which nothing else reads."""
    reads, writes = torch.randn(2, NOISES, generator=generator).tolist()
    return PlantedNeuron(
        {noise(number): _BACKGROUND_READS * weight for number, weight in enumerate(reads)},
        {noise(number): _BACKGROUND_WRITES * weight for number, weight in enumerate(writes)},
    )
