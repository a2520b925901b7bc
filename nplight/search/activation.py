"""Search by the size of the clean activation, the simplest baseline (of Wang et al., ICLR 2025, among others)."""

from __future__ import annotations

from torch import Tensor

from nplight.attribution import CleanPass, PathScores
from nplight.search.options import SearchOptions
from nplight.search.ranking import ranked
from nplight.vit import OpenViT


def activation(vit: OpenViT, clean: CleanPass, targets: Tensor, options: SearchOptions, chunk_size: int) -> PathScores:
    """Score of a neuron: its clean value, signed, summed over the path tokens; blind to the target."""
    scores = [clean.values[layer].sum(1) for layer in range(vit.depth)]
    return ranked(vit, clean, targets, scores, options, chunk_size)
