"""How much a category path depends on the images it was found with."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.errors import check_at_least
from nplight.metrics import BootstrapMean, Replicates, path_agreement, poisson_weights
from nplight.searching import CategoryVotes
from nplight.store import PathTable

PAIRS = 5
"""Pairs of resampled sets of images that are compared."""


def category_path_stability(
    table: PathTable,
    *,
    num_classes: int,
    top_k: int,
    category_method: str = "frequency",
    pairs: int = PAIRS,
    replicates: int = 1000,
    seed: int = 0,
) -> Replicates:
    """The share of a category path's neurons that stay when other images of the category are searched.

    Both category paths of a pair are formed anew from the stored paths of images drawn with replacement (Poisson
    weights), so that they differ as those of two samples of images do (Efron 1979). Intervals of measures of a category
    path condition on the path: this number says how far the path itself is determined by its images.

    Every resampling is a pass over the table with the memory of one formation of category paths.

    Args:
        table: the rows of one search, with labels and rankings of at least `top_k` neurons.
        num_classes: number of categories.
        top_k: neurons per layer of a category path.
        category_method: one of `CATEGORY_METHODS`.
        pairs: number of pairs of resampled sets; at least 1.
        replicates: of the bootstrap over categories; 0 for no interval.
        seed: of the resampling.

    Returns:
        For `estimate`: the mean over pairs, categories and layers, with an interval over categories; `images` is the
        number of categories, those without images in some resampled set left out.

    Raises:
        ArgumentError: `pairs` is below 1, or an image path has fewer neurons than `top_k`.

    Examples:
        >>> from nplight.metrics import estimate
        >>> from nplight.report import read_run
        >>> from nplight.results import category_path_stability
        >>> run = read_run("runs/digits")
        >>> stability = category_path_stability(run.image_paths("jas"), num_classes=len(run.names), top_k=1)
        >>> 0.5 < estimate(stability).value < 1  # more than half of a path's neurons stay, but not all
        True
    """
    check_at_least("pairs", pairs, 1)
    total = torch.zeros(num_classes, dtype=torch.float64)
    for pair in range(pairs):
        first, second = (
            _resampled(table, num_classes, top_k, category_method, (seed, 2 * pair + number)) for number in range(2)
        )
        total += path_agreement(first[0], second[0]).mean(1)
        total[~(first[1] & second[1])] = torch.nan
    stability = BootstrapMean(interval="fraction", replicates=replicates, sync_on_compute=False)
    stability.update(total / pairs, torch.arange(num_classes))
    return stability.compute()


def _resampled(
    table: PathTable, num_classes: int, top_k: int, category_method: str, draw: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """The category paths (categories, layers, K) of one resampled set of images, and which have images in it."""
    seed, number = draw
    votes = CategoryVotes(num_classes, top_k=top_k, method=category_method)
    drawn = torch.zeros(num_classes, dtype=torch.int64)
    layers, columns = table.shape("neurons")[0], ["ranking", "label", "ranking_scores", "checksum"]
    for rows in table.batches(columns):
        # The seed alone would give the weights of the intervals.
        weights = poisson_weights(rows["checksum"], replicates=number + 1, seed=-1 - seed)[:, number]
        again = torch.arange(len(weights)).repeat_interleave(weights)
        ranking, labels, scores = (rows[name][again] for name in columns[:3])
        drawn += labels.bincount(minlength=num_classes)
        if len(again):
            votes.update(ranking[..., :top_k], labels, scores[..., :top_k])
    absent = (drawn == 0).nonzero().flatten()
    if len(absent):
        # In the place of categories without images, which are left out.
        neurons = torch.arange(top_k).expand(len(absent), layers, top_k)
        votes.update(neurons, absent, torch.zeros(neurons.shape, dtype=torch.float64))
    return votes.compute().neurons, drawn > 0
