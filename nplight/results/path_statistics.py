"""What the stored paths of a search say without a further look at the model; for one process alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from nplight.metrics import (
    Agreement,
    DistanceSummary,
    Estimate,
    NeuronFrequency,
    PathAgreement,
    Replicates,
    SelectivityMatrix,
    SelectivitySummary,
    category_similarity,
    distance_summary,
    estimate,
    pair_similarity,
    path_distance,
    similar_pairs,
)
from nplight.results.forming import joint_score_mean
from nplight.store import PathTable

PAIRS = 10
"""How many of the most and of the least similar pairs of categories are listed."""


@dataclass(frozen=True, slots=True)
class SimilarPair:
    """Two categories, the lower first, and the cosine of their frequency maps."""

    first: int
    second: int
    cosine: Estimate

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a file."""
        return {"categories": [self.first, self.second], **self.cosine.to_dict()}


@dataclass(frozen=True, slots=True)
class PathStatistics:
    """Of the image paths of one search.

    Attributes:
        joint_score: mean over images, with its replicates.
        distance: of paths within a category and between categories.
        most_similar: pairs of categories, most similar first.
        least_similar: least similar first.
    """

    joint_score: Replicates
    distance: DistanceSummary
    most_similar: list[SimilarPair]
    least_similar: list[SimilarPair]

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a file."""
        return {
            "joint_score": estimate(self.joint_score).to_dict(),
            "distance": {name: getattr(self.distance, name).to_dict() for name in ("within", "between", "difference")},
            "most_similar": [pair.to_dict() for pair in self.most_similar],
            "least_similar": [pair.to_dict() for pair in self.least_similar],
        }


def path_statistics(table: PathTable, *, num_classes: int, width: int, replicates: int) -> PathStatistics:
    """Statistics of the rows of one search, in one pass each for scores and neurons.

    Args:
        table: its rows, with labels.
        num_classes: number of categories.
        width: neurons in the widest layer.
        replicates: of the bootstraps.
    """
    batches = table.batches(["neurons", "label"])
    first = next(batches)  # a table has at least one row
    frequency = NeuronFrequency(num_classes, first["neurons"].shape[1], width, sync_on_compute=False)
    for batch in chain([first], batches):
        frequency.update(batch["neurons"], batch["label"])
    counts = frequency.compute()
    most, least = similar_pairs(category_similarity(counts), PAIRS)
    # Each category is read once, however many pairs it is in.
    category = cache(lambda label: _category(table, label))

    def similar(first: int, second: int) -> SimilarPair:
        neurons, keys = zip(category(first), category(second))
        return SimilarPair(first, second, estimate(pair_similarity(neurons, keys, replicates=replicates)))

    return PathStatistics(
        joint_score=joint_score_mean(table, replicates=replicates),
        distance=distance_summary(path_distance(counts), counts.images, replicates=replicates),
        most_similar=[similar(first, second) for first, second, _ in most],
        least_similar=[similar(first, second) for first, second, _ in least],
    )


def _category(table: PathTable, label: int) -> tuple[Tensor, Tensor]:
    """The neurons of a category's images, (images, layers, K), and their checksums, (images,)."""
    rows = table.where(label=label)
    return _tensor(rows, "neurons"), _tensor(rows, "checksum")


def table_agreement(table: PathTable, other: PathTable, *, replicates: int) -> Agreement:
    """How far two searches agree on the images that both have.

    Args:
        table: the rows of one; as of the other, its neurons are in memory together, 8 bytes each.
        other: the rows of the other.
        replicates: of the bootstrap.
    """
    index, others = (_tensor(one, "index") for one in (table, other))
    place = torch.searchsorted(others, index).clamp(max=len(others) - 1)
    both = others[place] == index
    neurons, keys = _tensor(table, "neurons")[both], _tensor(table, "checksum")[both]
    theirs = _tensor(other, "neurons")[place[both]]
    agreement = PathAgreement(neurons.shape[1], replicates=replicates, sync_on_compute=False)
    # The weights of a few thousand images at a time.
    for part in zip(*(values.split(4096) for values in (neurons, theirs, keys))):
        agreement.update(*part)
    result: Agreement = agreement.compute()
    return result


def selectivity_to_dict(matrix: SelectivityMatrix, summary: SelectivitySummary) -> dict[str, Any]:
    """As plain values, for a file: `accuracy[c][p]` is that of category c under the path of p, `None` if not tested."""
    return {
        **{name: getattr(summary, name).to_dict() for name in ("own", "others", "difference")},
        "images": matrix.images.tolist(),
        "accuracy": [
            [None if value != value else round(value, 6) for value in row] for row in matrix.accuracy.tolist()
        ],
    }


def _tensor(table: PathTable, column: str) -> Tensor:
    return torch.as_tensor(table[column])
