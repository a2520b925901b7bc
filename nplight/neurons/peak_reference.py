"""The peak of each neuron: its most frequent value (Pochinkov et al. 2024), in three data passes.

The first finds the range of each neuron, the second fills a histogram of 100 bins over the range, and the third one of
100 fine bins inside the fullest bin. The peak is the centre of the fullest fine bin. Values are float32, bins are
computed in float64, and of equally full bins the lowest is taken, so that the peak does not depend on the batch size,
the order and the number of processes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.neurons.fills import FixedReferences
from nplight.neurons.gathering import NeuronGathering, refuse_none
from nplight.neurons.sites import Tokens
from nplight.processes import sum_over_processes, values_of_processes
from nplight.vit import OpenViT

BINS = 100
# Bounds the memory of computing bins, for any batch and number of tokens.
_VALUES_AT_ONCE = 2**22


class PeakReference(NeuronGathering):
    """The first data pass towards the peaks: the smallest and largest value of each neuron."""

    def __init__(self, vit: OpenViT, *, tokens: Tokens = "path", seed: int = 0) -> None:
        super().__init__(vit, tokens=tokens, seed=seed)
        self._low = self.for_all(torch.inf, torch.float32)
        self._high = self.for_all(-torch.inf, torch.float32)

    def add(self, positions: slice, values: Tensor) -> None:
        """Widen the ranges."""
        low, high = values.float().flatten(0, 1).aminmax(dim=0)
        self._low[positions] = torch.minimum(self._low[positions], low)
        self._high[positions] = torch.maximum(self._high[positions], high)

    @torch.inference_mode(False)
    def finish(self) -> PeakHistogram:
        """The data pass that counts values in the 100 bins of each range."""
        low, high = values_of_processes(self._low).amin(0).double(), values_of_processes(self._high).amax(0).double()
        if (low > high).all():
            refuse_none()
        self.by_layer(high - low)
        return PeakHistogram(self.vit, low, high, tokens=self.tokens)


class PeakHistogram(NeuronGathering):
    """The second and third data pass: counts in 100 bins over each range, then in 100 bins inside the fullest bin.

    Args:
        vit: the opened model.
        low: (neurons,) float64, the smallest values.
        high: (neurons,) float64, the largest values.
        fullest: for the third data pass (neurons,) int64, the fullest bin of the second.
        tokens: the tokens at which neurons are read.
    """

    def __init__(
        self, vit: OpenViT, low: Tensor, high: Tensor, fullest: Tensor | None = None, *, tokens: Tokens = "path"
    ) -> None:
        super().__init__(vit, tokens=tokens)
        self._low, self._high, self._fullest = low, high, fullest
        self._counts = torch.zeros(len(low), BINS, dtype=torch.int64, device=self.device)

    def add(self, positions: slice, values: Tensor) -> None:
        """Count the values of one layer."""
        counts = self._counts[positions]
        first = torch.arange(len(counts), device=counts.device) * BINS
        for part in values.float().flatten(0, 1).split(max(1, _VALUES_AT_ONCE // len(counts))):
            bins, inside = self._bins(positions, part)
            # Values outside the fullest bin go to one extra bin, which is dropped.
            indices = torch.where(inside, first + bins, counts.numel()).flatten()
            counts += indices.bincount(minlength=counts.numel() + 1)[:-1].view_as(counts)

    def _bins(self, positions: slice, values: Tensor) -> tuple[Tensor, Tensor]:
        """The bin of each value, (values, width) int64, and whether the value counts."""
        low, high = self._low[positions], self._high[positions]
        position = (values.double() - low) / torch.where(high > low, high - low, 1.0) * BINS
        bins = position.long().clamp(0, BINS - 1)
        if self._fullest is None:
            return bins, torch.ones_like(bins, dtype=torch.bool)
        fine = ((position - bins) * BINS).long().clamp(0, BINS - 1)
        return fine, bins == self._fullest[positions]

    @torch.inference_mode(False)
    def finish(self) -> PeakHistogram | FixedReferences:
        """The third data pass; after that the peaks as references."""
        fullest = sum_over_processes(self._counts).argmax(1)  # of equally full bins the first
        if self._fullest is None:
            return PeakHistogram(self.vit, self._low, self._high, fullest, tokens=self.tokens)
        position = (self._fullest + (fullest.double() + 0.5) / BINS) / BINS
        # The peak of a constant neuron is its value.
        peak = self._low + position * (self._high - self._low)
        return FixedReferences("peak", self.tokens, self.by_layer(peak))
