"""Histograms of neurons' values: images of the categories that use a neuron against the rest."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nplight.paths import CategoryPaths

Neuron = tuple[int, int]

# Fixed, so that the counts do not depend on the order of the images; half an octave wide, as values spread widely.
_MAGNITUDES = [float(f"{2 ** (step / 2):.3g}") for step in range(-10, 21)]
EDGES: tuple[float, ...] = (*(-edge for edge in reversed(_MAGNITUDES)), *_MAGNITUDES)
"""Between the bins; the first bin has all that is below the first edge, the last all that is above the last."""


class ValueHistograms:
    """Counts of values per neuron, independent of the batches and the number of processes.

    Args:
        neurons: layer and number of each.
        paths: the category paths; a category uses the neurons on its path.

    Attributes:
        counts: (neurons, 2, bins) int64: images of the categories that use the neuron, and of the others.
    """

    def __init__(self, neurons: list[Neuron], paths: CategoryPaths) -> None:
        self.counts = torch.zeros(len(neurons), 2, len(EDGES) + 1, dtype=torch.int64)
        on_path = [[set(own) for own in path] for path in paths.neurons.tolist()]
        users = [[neuron in path[layer] for layer, neuron in neurons] for path in on_path]
        self._users = torch.tensor(users, dtype=torch.bool).reshape(len(paths), len(neurons))

    def update(self, values: Tensor, labels: Tensor) -> None:
        """Add images: values (images, neurons), labels (images,) int64; non-finite values do not count."""
        values, labels = values.double().cpu(), labels.cpu()
        # Of a category without a path no neuron is used.
        known = labels.clamp(max=len(self._users) - 1)
        groups = (~(self._users[known] & (labels < len(self._users))[:, None])).long()
        bins = torch.bucketize(values, torch.tensor(EDGES, dtype=torch.float64))
        neurons = torch.arange(values.shape[1]).expand_as(bins)
        finite = values.isfinite()
        self.counts.index_put_(
            (neurons[finite], groups[finite], bins[finite]), torch.ones((), dtype=torch.int64), accumulate=True
        )

    def to_dict(self, number: int) -> dict[str, Any]:
        """The histogram of a neuron for a file: the number of the first bin with an image, and counts from there on."""
        own, rest = self.counts[number]
        filled = (own + rest).nonzero().flatten().tolist()
        span = slice(filled[0], filled[-1] + 1) if filled else slice(0, 0)
        return {"first": span.start, "own": own[span].tolist(), "rest": rest[span].tolist()}
