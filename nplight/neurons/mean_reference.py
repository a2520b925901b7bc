"""The mean of each neuron."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.neurons.fills import FixedReferences
from nplight.neurons.gathering import NeuronGathering, refuse_none
from nplight.neurons.sites import Tokens
from nplight.processes import values_of_processes
from nplight.vit import OpenViT


class MeanReference(NeuronGathering):
    """The mean of each neuron over all images and edited tokens, from float64 sums and counts."""

    def __init__(self, vit: OpenViT, *, tokens: Tokens = "path", seed: int = 0) -> None:
        super().__init__(vit, tokens=tokens, seed=seed)
        self._total = self.for_all(0, torch.float64)
        self._count = self.for_all(0, torch.int64)

    def add(self, positions: slice, values: Tensor) -> None:
        """Add to the sums and the counts."""
        self._total[positions] += values.sum((0, 1), dtype=torch.float64)
        self._count[positions] += values.shape[0] * values.shape[1]

    @torch.inference_mode(False)
    def finish(self) -> FixedReferences:
        """The means as references.

        Raises:
            ArgumentError: there were no images, or they give no finite values.
        """
        total, count = values_of_processes(self._total).sum(0), values_of_processes(self._count).sum(0)
        if not count.any():
            refuse_none()
        means = total / count
        return FixedReferences("mean", self.tokens, self.by_layer(means))
