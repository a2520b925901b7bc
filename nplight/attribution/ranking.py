"""Rankings by score: best first, the lower index first among equal scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor

from nplight.attribution.problem import Problem


@dataclass(frozen=True, slots=True)
class PathScores:
    """The rankings of a group of images, and the scores of their paths.

    Attributes:
        ranking: (images, layers, R) int64, best first.
        ranking_scores: (images, layers, R).
        scores: (images,), the joint attribution score of the path that holds the first K neurons of each layer.
        margin: (images, layers), the K-th score minus the next; infinite where there is none; left out: NaN.
        evaluations: (images,) int64, the node evaluations by which the neurons were chosen, summed over the layers;
            left out: 0.

    Examples:
        >>> import torch
        >>> from nplight.attribution import RankedLayers
        >>> layers = RankedLayers(torch.empty(1, 0, 1, dtype=torch.int64), ranked=2)
        >>> taken = layers.add(torch.tensor([[0.5, 0.125, 0.75]]))
        >>> best = layers.with_scores(torch.tensor([0.75]))
        >>> best.ranking.tolist(), best.margin.tolist()
        ([[[2, 0]]], [[0.25]])
    """

    ranking: Tensor
    ranking_scores: Tensor
    scores: Tensor
    margin: Tensor = None  # type: ignore[assignment]
    evaluations: Tensor = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.margin is None:
            object.__setattr__(self, "margin", torch.full_like(self.ranking_scores[..., 0], torch.nan))
        if self.evaluations is None:
            object.__setattr__(self, "evaluations", self.ranking.new_zeros(len(self.ranking)))

    @staticmethod
    def merged(parts: Sequence[tuple[Tensor, PathScores]]) -> PathScores:
        """Results of parts of a group, each with the positions of its images in the group: (images,) int64."""
        order = torch.cat([images for images, _ in parts]).argsort()
        return PathScores(
            **{
                field.name: torch.cat([getattr(result, field.name) for _, result in parts])[order]
                for field in fields(PathScores)
            }
        )


class Best(NamedTuple):
    """The best neurons of a layer, in order.

    Attributes:
        neurons: (…, count) int64.
        scores: (…, count).

    Examples:
        >>> import torch
        >>> from nplight.attribution import best_first
        >>> neurons, scores = best_first(torch.tensor([[0.5, 0.125, 0.75]]), 2)
        >>> neurons.tolist(), scores.tolist()
        ([[2, 0]], [[0.75, 0.5]])
    """

    neurons: Tensor
    scores: Tensor


def best_first(scores: Tensor, count: int) -> Best:
    """The `count` neurons of largest score: (…, width) -> (…, count).

    The sort is stable: of equal scores the lower index comes first, on every device.

    Examples:
        >>> import torch
        >>> from nplight.attribution import best_first
        >>> best = best_first(torch.tensor([[0.5, 0.125, 0.75, 0.5]]), 3)
        >>> best.neurons.tolist()
        [[2, 0, 3]]
    """
    ordered = scores.sort(dim=-1, descending=True, stable=True)
    return Best(ordered.indices[..., :count], ordered.values[..., :count])


def choice_margin(scores: Tensor, top_k: int) -> Tensor:
    """The K-th largest score minus the next: (images, width) -> (images,); infinite where there is no next.

    Examples:
        >>> import torch
        >>> from nplight.attribution import choice_margin
        >>> scores = torch.tensor([[0.5, 0.125, 0.75]])
        >>> choice_margin(scores, 1), choice_margin(scores, 3)
        (tensor([0.2500]), tensor([inf]))
    """
    if scores.shape[1] == top_k:
        return torch.full_like(scores[:, 0], torch.inf)
    best = scores.topk(top_k + 1, dim=1).values
    return best[:, top_k - 1] - best[:, top_k]


class RankedLayers:
    """The rankings of a group of images, layer by layer.

    Args:
        path: (images, layers, K) int64, of the layers ranked so far.
        ranked: candidates per layer, R.

    Examples:
        >>> import torch
        >>> from nplight.attribution import RankedLayers
        >>> layers = RankedLayers(torch.empty(1, 0, 1, dtype=torch.int64), ranked=2)
        >>> layers.add(torch.tensor([[0.5, 0.125, 0.75]])).tolist()  # layer 0: the neuron that is taken
        [[2]]
        >>> layers.add(torch.tensor([[0.25, 0.5, 0.0]])).tolist()
        [[1]]
        >>> layers.with_scores(torch.tensor([1.25])).ranking.tolist()
        [[[2, 0], [1, 0]]]
    """

    def __init__(self, path: Tensor, ranked: int) -> None:
        self.path = path
        self.evaluations = torch.zeros_like(path[:, 0, 0]) if path.shape[1] else path.new_zeros(len(path))
        self._ranked = ranked
        self._layers: list[tuple[Tensor, Tensor, Tensor]] = []  # ranking, its scores, margin

    @classmethod
    def of(cls, problem: Problem) -> RankedLayers:
        """No layer yet."""
        return cls(problem.targets.new_zeros(len(problem.targets), 0, problem.top_k), problem.ranked)

    def add(self, scores: Tensor, evaluations: Tensor | int = 0) -> Tensor:
        """Rank the next layer by its scores (images, width), and return the first K neurons, (images, K).

        Args:
            scores: larger is better.
            evaluations: of nodes, for this layer, (images,) or one number for all.
        """
        top_k = self.path.shape[2]
        best = best_first(scores, self._ranked)
        self._layers.append((best.neurons, best.scores, choice_margin(scores, top_k)))
        self.path = torch.cat([self.path, best.neurons[:, None, :top_k]], 1)
        self.spend(evaluations)
        return self.path[:, -1]

    def spend(self, evaluations: Tensor | int) -> None:
        """Count evaluations of nodes, (images,) or one number for all."""
        self.evaluations = self.evaluations + evaluations

    def some(self, images: Tensor) -> RankedLayers:
        """The rankings of some of the images: (images,) int64, positions."""
        part = RankedLayers(self.path[images], self._ranked)
        part.evaluations = self.evaluations[images]
        part._layers = [(ranking[images], scores[images], margin[images]) for ranking, scores, margin in self._layers]
        return part

    def with_scores(self, scores: Tensor) -> PathScores:
        """The result, with the joint attribution scores of the paths, (images,)."""
        ranking, ranking_scores, margin = (torch.stack(parts, 1) for parts in zip(*self._layers))
        return PathScores(ranking, ranking_scores, scores, margin, self.evaluations)
