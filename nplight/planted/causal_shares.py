"""What a found path does to the prediction, as a share of what the planted path does."""

from __future__ import annotations

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


def causal_shares(planted: PlantedModel, neurons: Tensor) -> CausalShares:
    """The causal gap between a found path and the planted one is what is missing to 1.

    Args:
        planted: the model with its images and paths.
        neurons: (images, layers, K) int64, the found path of each image.

    Raises:
        ArgumentError: `neurons` are no paths of the model's images.
    """

    def share(operation: Operation, start: Tensor) -> Tensor:
        by_path, by_truth = (edited_probability(planted, path, operation) for path in (neurons, planted.paths))
        return (by_path - start) / (by_truth - start)

    clean, none = clean_probability(planted), edited_probability(planted, _all_neurons(planted), "remove")
    return CausalShares(share("remove", clean), share("keep", none))


def edited_probability(planted: PlantedModel, neurons: Tensor, operation: Operation) -> Tensor:
    """The label's probability under an `intervene` of zeros: (images,) float64."""
    with intervene(planted.model, neurons, operation):
        return clean_probability(planted)


def clean_probability(planted: PlantedModel) -> Tensor:
    """The label's probability, (images,) float64."""
    with torch.no_grad():
        probabilities: Tensor = planted.model(planted.images).double().softmax(1)
    return probabilities.gather(1, planted.labels[:, None])[:, 0]


def _all_neurons(planted: PlantedModel) -> Tensor:
    """(layers, width)."""
    return torch.arange(planted.width).expand(planted.case.depth, -1)
