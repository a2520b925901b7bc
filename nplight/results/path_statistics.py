"""Statistics of the stored paths of a search, without the model, in a single process."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nplight.metrics import (
    Agreement,
    BootstrapMean,
    DistanceSummary,
    Estimate,
    NeuronCounts,
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
from nplight.results.path_resampling import category_path_stability
from nplight.store import PathTable

PAIRS = 10
"""Number of pairs of categories in each list of `PathStatistics`."""


@dataclass(frozen=True, slots=True)
class SimilarPair:
    """Two categories, the lower first, and the cosine of their frequency maps."""

    first: int
    second: int
    cosine: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a file."""
        return {"categories": [self.first, self.second], **self.cosine.to_dict()}


@dataclass(frozen=True, slots=True)
class PathStatistics:
    """Statistics of the image paths of one search.

    Attributes:
        joint_score: mean over images, with replicates.
        distance: of paths within a category and between categories.
        most_similar: pairs of categories, most similar first.
        least_similar: pairs of categories, least similar first.
        stability: share of the category paths' neurons that stay when other images are searched, with replicates over
            categories; `None` if no category paths were asked for.

    Examples:
        >>> from nplight.report import read_run
        >>> from nplight.results import path_statistics
        >>> run = read_run("runs/digits")
        >>> table, width = run.image_paths("jas"), max(run.widths)
        >>> statistics = path_statistics(table, num_classes=len(run.names), width=width, replicates=10)
        >>> most, least = statistics.most_similar[0], statistics.least_similar[0]
        >>> most.cosine.value > 0.5, least.cosine.value < 0.1
        (True, True)
    """

    joint_score: Replicates
    distance: DistanceSummary
    most_similar: list[SimilarPair]
    least_similar: list[SimilarPair]
    stability: Replicates | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a file."""
        return {
            "joint_score": estimate(self.joint_score).to_dict(),
            "distance": {name: getattr(self.distance, name).to_dict() for name in ("within", "between", "difference")},
            "most_similar": [pair.to_dict() for pair in self.most_similar],
            "least_similar": [pair.to_dict() for pair in self.least_similar],
            **({} if self.stability is None else {"category_path_stability": estimate(self.stability).to_dict()}),
        }


def path_statistics(
    table: PathTable, *, num_classes: int, width: int, replicates: int, category_paths: tuple[int, str] | None = None
) -> PathStatistics:
    """Statistics of the rows of one search, from two passes over them, and more for the stability of category paths.

    Args:
        table: its rows, with labels.
        num_classes: number of categories.
        width: neurons in the widest layer.
        replicates: of the bootstraps.
        category_paths: neurons per layer of the category paths and the method they are formed by, for their stability;
            `None`: without it.

    Examples:
        >>> from nplight.report import read_run
        >>> from nplight.results import path_statistics
        >>> run = read_run("runs/digits")
        >>> table, width = run.image_paths("jas"), max(run.widths)
        >>> statistics = path_statistics(table, num_classes=len(run.names), width=width, replicates=10)
        >>> statistics.distance.within.value < statistics.distance.between.value  # categories have paths of their own
        True
    """
    stability = None
    if category_paths is not None:
        top_k, method = category_paths
        stability = category_path_stability(
            table, num_classes=num_classes, top_k=top_k, category_method=method, replicates=replicates
        )
    counts, joint_score = _counts_and_scores(table, num_classes, width, replicates)
    most_similar, least_similar = similar_pairs(category_similarity(counts), PAIRS)
    categories = {category for first, second, _ in most_similar + least_similar for category in (first, second)}
    images = _images_of(table, categories)
    return PathStatistics(
        joint_score=joint_score,
        distance=distance_summary(path_distance(counts), counts.images, replicates=replicates),
        most_similar=[_similar_pair(images, first, second, replicates) for first, second, _ in most_similar],
        least_similar=[_similar_pair(images, first, second, replicates) for first, second, _ in least_similar],
        stability=stability,
    )


def _counts_and_scores(
    table: PathTable, num_classes: int, width: int, replicates: int
) -> tuple[NeuronCounts, Replicates]:
    """How often each neuron is on a category's paths, and the mean joint score."""
    frequency = NeuronFrequency(num_classes, table.shape("neurons")[0], width, sync_on_compute=False)
    joint_score = BootstrapMean(replicates=replicates, sync_on_compute=False)
    for batch in table.batches(["neurons", "label", "score", "checksum"]):
        frequency.update(batch["neurons"], batch["label"])
        joint_score.update(batch["score"], batch["checksum"])
    return frequency.compute(), joint_score.compute()


def _images_of(table: PathTable, categories: AbstractSet[int]) -> dict[int, tuple[Tensor, Tensor]]:
    """Neurons and checksums of the images of each category, in memory together."""
    parts: dict[int, list[tuple[Tensor, Tensor]]] = {category: [] for category in categories}
    for batch in table.batches(["neurons", "label", "checksum"]):
        for category in categories & set(batch["label"].tolist()):
            members = batch["label"] == category
            parts[category].append((batch["neurons"][members], batch["checksum"][members]))
    joined = {category: [torch.cat(column) for column in zip(*batches)] for category, batches in parts.items()}
    return {category: (neurons, checksums) for category, (neurons, checksums) in joined.items()}


def _similar_pair(images: Mapping[int, tuple[Tensor, Tensor]], first: int, second: int, replicates: int) -> SimilarPair:
    neurons, checksums = zip(images[first], images[second])
    return SimilarPair(first, second, estimate(pair_similarity(neurons, checksums, replicates=replicates)))


def table_agreement(table: PathTable, other: PathTable, *, replicates: int) -> Agreement:
    """Agreement of two searches on the images that both have.

    The neurons of both searches are held in memory, 8 bytes each.

    Args:
        table: the rows of one search.
        other: the rows of the other.
        replicates: of the bootstrap.

    Examples:
        >>> import nplight
        >>> from nplight.metrics import estimate
        >>> from nplight.results import table_agreement
        >>> table = nplight.read_paths("runs/digits")
        >>> first, second = (table.where(search=search) for search in table.searches)
        >>> agreement = table_agreement(first, second, replicates=10)
        >>> estimate(agreement.whole).value <= estimate(agreement.neurons).value  # whole paths agree less often
        True
    """
    index, other_index = _tensor(table, "index"), _tensor(other, "index")
    position = torch.searchsorted(other_index, index).clamp(max=len(other_index) - 1)
    in_both = other_index[position] == index
    neurons, keys = _tensor(table, "neurons")[in_both], _tensor(table, "checksum")[in_both]
    other_neurons = _tensor(other, "neurons")[position[in_both]]
    agreement = PathAgreement(neurons.shape[1], replicates=replicates, sync_on_compute=False)
    # In groups, as every image has `replicates` weights.
    for group in zip(*(values.split(4096) for values in (neurons, other_neurons, keys))):
        agreement.update(*group)
    result: Agreement = agreement.compute()
    return result


def selectivity_to_dict(matrix: SelectivityMatrix, summary: SelectivitySummary) -> dict[str, Any]:
    """Plain values for a file: `accuracy[c][p]` is of category c under the path of p, `None` if not tested.

    Examples:
        >>> import torch
        >>> from nplight.metrics import Selectivity, selectivity_summary
        >>> from nplight.results import selectivity_to_dict
        >>> metric = Selectivity(num_classes=2)
        >>> predicted = torch.tensor([[0, 0], [0, 1]])  # (paths, images)
        >>> metric.update(torch.tensor([0, 1]), predicted, labels=torch.tensor([0, 1]), keys=torch.tensor([0, 1]))
        >>> matrix = metric.compute()
        >>> selectivity_to_dict(matrix, selectivity_summary(matrix))["accuracy"]
        [[1.0, 1.0], [0.0, 1.0]]
    """
    return {
        **{name: getattr(summary, name).to_dict() for name in ("own", "others", "difference")},
        "images": matrix.images.tolist(),
        "accuracy": [
            [None if value != value else round(value, 6) for value in row] for row in matrix.accuracy.tolist()
        ],
    }


def _tensor(table: PathTable, column: str) -> Tensor:
    return torch.as_tensor(table[column])
