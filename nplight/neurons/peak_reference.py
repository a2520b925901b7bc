"""The peak of each neuron: its most frequent value (Pochinkov et al. 2024), in three passes over the images.

The range of each neuron; a histogram of 100 bins over it; and one of 100 fine bins inside the fullest of them. The peak
is the centre of the fullest fine bin. Values are float32, bins are told apart in float64, and of equally full bins the
lowest counts: the same peak for every batch size, order and number of processes.
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
# Bounds the memory of telling bins apart, whatever the batch and the tokens.
_VALUES_AT_ONCE = 2**22


class PeakReference(NeuronGathering):
    """The first pass towards the peaks: the smallest and largest value of each neuron."""

    def __init__(self, vit: OpenViT, *, tokens: Tokens = "path", seed: int = 0) -> None:
        super().__init__(vit, tokens=tokens, seed=seed)
        self._low = self.for_all(torch.inf, torch.float32)
        self._high = self.for_all(-torch.inf, torch.float32)

    def add(self, place: slice, values: Tensor) -> None:
        """Widen the ranges."""
        low, high = values.float().flatten(0, 1).aminmax(dim=0)
        self._low[place] = torch.minimum(self._low[place], low)
        self._high[place] = torch.maximum(self._high[place], high)

    @torch.inference_mode(False)
    def finish(self) -> PeakHistogram:
        """The pass that counts values in the 100 bins of each range."""
        low, high = values_of_processes(self._low).amin(0).double(), values_of_processes(self._high).amax(0).double()
        if (low > high).all():
            refuse_none()
        self.by_layer(high - low)
        return PeakHistogram(self.vit, low, high, tokens=self.tokens)


class PeakHistogram(NeuronGathering):
    """The second and the third pass: values counted in 100 bins over each range, then in 100 bins inside the fullest.

    Args:
        vit: the opened model.
        low: (neurons,) float64, the smallest values.
        high: (neurons,) float64, the largest values.
        fullest: for the third pass (neurons,) int64, the bin of the second that holds most values.
        tokens: the tokens at which neurons are read.
    """

    def __init__(
        self, vit: OpenViT, low: Tensor, high: Tensor, fullest: Tensor | None = None, *, tokens: Tokens = "path"
    ) -> None:
        super().__init__(vit, tokens=tokens)
        self._low, self._high, self._fullest = low, high, fullest
        self._counts = torch.zeros(len(low), BINS, dtype=torch.int64, device=self.device)

    def add(self, place: slice, values: Tensor) -> None:
        """Count the values of one layer."""
        counts = self._counts[place]
        first = torch.arange(len(counts), device=counts.device) * BINS
        for rows in values.float().flatten(0, 1).split(max(1, _VALUES_AT_ONCE // len(counts))):
            bins, inside = self._bins(place, rows)
            # What lies outside the fullest bin goes to one bin more, which is dropped.
            found = torch.where(inside, first + bins, counts.numel()).flatten()
            counts += found.bincount(minlength=counts.numel() + 1)[:-1].view_as(counts)

    def _bins(self, place: slice, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The bin of each value, (rows, width) int64, and whether it counts."""
        low, high = self._low[place], self._high[place]
        position = (rows.double() - low) / torch.where(high > low, high - low, 1.0) * BINS
        bins = position.long().clamp(0, BINS - 1)
        if self._fullest is None:
            return bins, torch.ones_like(bins, dtype=torch.bool)
        fine = ((position - bins) * BINS).long().clamp(0, BINS - 1)
        return fine, bins == self._fullest[place]

    @torch.inference_mode(False)
    def finish(self) -> PeakHistogram | FixedReferences:
        """The third pass; after it the peaks as references."""
        found = sum_over_processes(self._counts).argmax(1)  # of equally full bins the first
        if self._fullest is None:
            return PeakHistogram(self.vit, self._low, self._high, found, tokens=self.tokens)
        position = (self._fullest + (found.double() + 0.5) / BINS) / BINS
        # A neuron that never varies is its own peak.
        peak = self._low + position * (self._high - self._low)
        return FixedReferences("peak", self.tokens, self.by_layer(peak))
