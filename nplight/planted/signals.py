"""The signals that a planted model's residual stream carries, each along a direction of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

Weights = Mapping[str, float]
"""Signal -> how strongly it is read or written."""

CONSTANT = "constant"
"""One value at every token. Large, it holds the LayerNorms of a model nearly constant."""

SINK = "sink"
"""What is written here is read by nothing."""


def pattern(category: int) -> str:
    """How much of a category's pixel pattern is in a patch."""
    return f"pattern {category}"


def noise(number: int) -> str:
    """Pixels that say nothing of the category."""
    return f"noise {number}"


def evidence(category: int) -> str:
    """A category's pattern, copied to every token by the attention of block 0."""
    return f"evidence {category}"


def link(layer: int, category: int) -> str:
    """What a planted neuron of a layer passes on to planted neurons of later layers."""
    return f"link {layer} {category}"


def logit(category: int) -> str:
    """What the head adds to the logit of a category."""
    return f"logit {category}"


class Signals:
    """Signals along random orthonormal directions, at right angles to the mean that a LayerNorm subtracts.

    A vector that writes a signal also reads it, and reads nothing of the others.

    Args:
        names: of the signals.
        generator: draws the directions.
    """

    def __init__(self, names: Sequence[str], generator: torch.Generator) -> None:
        self.features = _features(len(names))
        drawn = torch.randn(self.features, len(names), generator=generator, dtype=torch.float64)
        columns = torch.cat([torch.ones(self.features, 1, dtype=torch.float64), drawn], 1)
        directions = torch.linalg.qr(columns).Q[:, 1:].T
        self._directions = dict(zip(names, directions))

    def vector(self, weights: Weights) -> Tensor:
        """The sum of the signals' directions, weighted: (features,) float64."""
        total = torch.zeros(self.features, dtype=torch.float64)
        for name, weight in weights.items():
            total += weight * self._directions[name]
        return total

    def matrix(self, rows: Sequence[Weights]) -> Tensor:
        """One vector per row: (rows, features) float64."""
        return torch.stack([self.vector(weights) for weights in rows])


def _features(signals: int) -> int:
    """The smallest power of two, 64 at least, that has room for the signals and for the mean."""
    features = 64
    while features <= signals:
        features *= 2
    return features
