"""Layer-progressive choice of a path, with as few nodes as decide every layer.

An image whose choice or scores are not settled in a layer goes on from that layer with more nodes, at last with every
node; what is chosen before stays. The others go on with the few.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from nplight.attribution.error_estimate import unsettled
from nplight.attribution.first_layer import settle_first_layer
from nplight.attribution.joint_score import path_sums
from nplight.attribution.problem import Problem
from nplight.attribution.ranking import PathScores, RankedLayers
from nplight.attribution.settling import Evaluate, few_counts, settle


class LayerRows(Protocol):
    """The node rows of a group of images, which go through the layers in order."""

    def sums(self, layer: int) -> Tensor:
        """Run the layer, and return `Problem.sums` of the scores of its neurons, (images, sums, width)."""
        ...

    def choose(self, layer: int, neurons: Tensor) -> None:
        """After `sums` or `pass_by`: add the neurons (images, K) of the layer to the path."""
        ...

    def pass_by(self, layer: int) -> None:
        """Instead of `sums`: run the layer without scores."""
        ...

    def keep(self, images: Tensor) -> None:
        """Go on with some of the images: (images,) int64, positions."""
        ...

    def path_sums(self, path: Tensor) -> Tensor:
        """After the last layer: `Problem.sums` of the joint attribution scores of the paths, (images, sums)."""
        ...


MakeRows = Callable[[Problem], LayerRows]


def choose_layer_by_layer(problem: Problem, make_rows: MakeRows, first_layer: Evaluate) -> PathScores:
    """The path of the neurons of largest score, chosen layer by layer.

    Args:
        problem: the search, with every node.
        make_rows: takes the search of some images with some nodes.
        first_layer: the scores of layer 0, as `settle` takes it.
    """
    chosen, counts = RankedLayers.of(problem), few_counts(problem)
    if len(counts) > 1:
        # Layer 0 has no prefix to carry, and the sharpest integrand: it has nodes of its own.
        settled = settle_first_layer(problem, first_layer)
        chosen.add(settled.scores[0], settled.evaluations)
    return _go_on(problem, make_rows, counts, chosen)


def _go_on(problem: Problem, make_rows: MakeRows, counts: Sequence[int], chosen: RankedLayers) -> PathScores:
    """Choose the layers that are not chosen yet; `counts`: numbers of nodes in turn, the last m."""
    images = torch.arange(len(problem.targets), device=problem.targets.device)
    rows, parts = make_rows(problem.with_nodes(counts[0])), []
    for layer, neurons in enumerate(chosen.path.unbind(1)):
        rows.pass_by(layer)
        rows.choose(layer, neurons)
    for layer in range(chosen.path.shape[1], problem.vit.depth):
        sums = rows.sums(layer)
        chosen.spend(counts[0])
        if len(counts) > 1:
            flags = unsettled(sums, top_k=problem.top_k, ranked=problem.ranked, tolerance=problem.tolerance)
            more = flags.nonzero().flatten()
            if len(more):
                part = problem.of(more)
                parts.append((images[more], _go_on(part, make_rows, counts[1:], chosen.some(more))))
                on = (~flags).nonzero().flatten()
                if not len(on):
                    return PathScores.merged(parts)
                rows.keep(on)
                problem, chosen, images, sums = problem.of(on), chosen.some(on), images[on], sums[on]
        rows.choose(layer, chosen.add(sums[:, 0]))
    parts.append((images, chosen.with_scores(_path_scores(problem, rows, counts, chosen.path))))
    return PathScores.merged(parts)


def _path_scores(problem: Problem, rows: LayerRows, counts: Sequence[int], path: Tensor) -> Tensor:
    """The joint attribution scores of the paths, (images,), after the last layer."""

    def evaluate(part: Problem, images: Tensor) -> list[Tensor]:
        return [path_sums(part, path[images]).unsqueeze(2)]

    first = [rows.path_sums(path).unsqueeze(2)]
    return settle(problem, evaluate, counts, first=first, top_k=1, ranked=1).scores[0].squeeze(1)
