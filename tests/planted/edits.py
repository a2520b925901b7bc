"""Removals that `intervene` has no operation for: some neurons of one layer alone."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight import open_vit
from nplight.neurons import at_sites
from nplight.planted import PlantedModel


def without(planted: PlantedModel, removed: dict[int, Tensor]) -> Tensor:
    """The logits where each layer's neurons (images, removed) are 0 at the path tokens."""

    def remover(neurons: Tensor):
        def remove(values: Tensor) -> Tensor:
            mask = torch.zeros(len(values), values.shape[-1], dtype=torch.bool).scatter_(1, neurons, True)
            return values.masked_fill(mask[:, None], 0)

        return remove

    functions = {layer: remover(neurons) for layer, neurons in removed.items()}
    with torch.no_grad(), at_sites(open_vit(planted.model), functions):
        return planted.model(planted.images)


def accuracy(planted: PlantedModel, logits: Tensor) -> float:
    return (logits.argmax(1) == planted.labels).double().mean().item()


def clean_logits(planted: PlantedModel) -> Tensor:
    with torch.no_grad():
        return planted.model(planted.images)
