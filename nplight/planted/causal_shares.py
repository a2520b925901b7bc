"""What a found path does to the prediction, as a share of what the planted path does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from nplight.neurons import Operation, intervene
from nplight.planted.planted_model import PlantedModel


class CausalShares(NamedTuple):
    """Shares per image, (images,) float64: 1 where the found path does what the planted one does; no bounds.

    Attributes:
        removed: the fall of the label's probability where the path is removed.
        kept: its rise above a model without any neuron at the path tokens where only the path is kept.
    """

    removed: Tensor
    kept: Tensor


@dataclass(frozen=True, slots=True)
class CausalScale:
    """What shares are measured by: the label's probabilities, (images,) float64, that no method changes.

    Attributes:
        clean: without an edit.
        none: without any neuron at the path tokens.
        removed: without the planted path.
        kept: with the planted path alone.
    """

    clean: Tensor
    none: Tensor
    removed: Tensor
    kept: Tensor

    @classmethod
    def of(cls, planted: PlantedModel) -> CausalScale:
        """That of a model."""
        every_neuron = torch.arange(planted.width).expand(planted.depth, -1)
        return cls(
            clean_probability(planted),
            edited_probability(planted, every_neuron, "remove"),
            edited_probability(planted, planted.paths, "remove"),
            edited_probability(planted, planted.paths, "keep"),
        )


def causal_shares(planted: PlantedModel, neurons: Tensor, scale: CausalScale | None = None) -> CausalShares:
    """The causal gap between a found path and the planted one is what is missing to 1.

    Args:
        planted: the model with its images and paths.
        neurons: (images, layers, K) int64, the found path of each image.
        scale: that of the model, where it is known; `None`: measured.

    Raises:
        ArgumentError: `neurons` are no paths of the model's images.
    """
    scale = CausalScale.of(planted) if scale is None else scale
    removed, kept = edited_probability(planted, neurons, "remove"), edited_probability(planted, neurons, "keep")
    return CausalShares(
        (scale.clean - removed) / (scale.clean - scale.removed), (kept - scale.none) / (scale.kept - scale.none)
    )


def edited_probability(planted: PlantedModel, neurons: Tensor, operation: Operation) -> Tensor:
    """The label's probability under an `intervene` of zeros: (images,) float64."""
    with intervene(planted.model, neurons, operation):
        return clean_probability(planted)


def clean_probability(planted: PlantedModel) -> Tensor:
    """The label's probability, (images,) float64."""
    with torch.no_grad():
        probabilities: Tensor = planted.model(planted.images).double().softmax(1)
    return probabilities.gather(1, planted.labels[:, None])[:, 0]
