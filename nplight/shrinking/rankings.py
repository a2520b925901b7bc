"""Scores of all neurons by which the kept ones are chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor

from nplight.data import ImageBatch
from nplight.errors import ArgumentError, listed
from nplight.methods import METHODS
from nplight.processes import objects_of_processes, sum_over_processes
from nplight.searching import search
from nplight.seeds import seeded_generator
from nplight.shrinking.neuron_load import neuron_loads
from nplight.store import PathTable
from nplight.vit import OpenViT

Batches = Callable[[], Iterable[ImageBatch]]
"""Gives the discover images once more, batch by batch, on the model's device."""

CONTROLS = ("magnitude", "random")
"""What stands beside every ranking."""


def magnitude_scores(vit: OpenViT, batches: Batches) -> list[Tensor]:
    """The load of every neuron: its mean absolute value over all images and tokens times the norm of what it writes."""
    return neuron_loads(vit, (batch.images for batch in batches()))


def random_scores(widths: Sequence[int], seed: int) -> list[Tensor]:
    """Scores drawn at random, per layer (width,)."""
    return [torch.rand(width, generator=seeded_generator(seed, layer)) for layer, width in enumerate(widths)]


def search_scores(vit: OpenViT, by: str, batches: Batches, **options: Any) -> list[Tensor]:
    """The mean score of every neuron over images, searched anew at all tokens with rankings of all neurons.

    Args:
        vit: the opened model.
        by: one of `METHODS`.
        batches: gives the images; of several processes each gives its share.
        **options: further ones of `nplight.search`.
    """
    sums = _Sums(vit.widths)
    for batch in batches():
        paths = search(vit, batch.images, batch.labels, method=by, ranked=min(vit.widths), tokens="all", **options)
        sums.add(paths.ranking, paths.ranking_scores)
    return sums.means(vit.down[0].linear.weight.device)


def stored_scores(
    vit: OpenViT, by: str, table: PathTable, share: float, *, argument: str = "--by"
) -> list[Tensor] | None:
    """The mean score of every neuron over the images of a stored search, 0 where an image does not rank it.

    Args:
        vit: the opened model.
        by: the name of the search.
        table: the stored paths of the search.
        share: of the neurons that are kept.
        argument: that names the search, for messages.

    Returns:
        Per layer (width,); `None` if the stored rankings hold too few neurons of a layer for the share.

    Raises:
        ArgumentError: the search was at the path tokens, and these are not all tokens.
    """
    if not holds_at_all_tokens(vit, table):
        _refuse_path_tokens(vit, by, argument)
    sums = _Sums(vit.widths)
    for batch in table.batches(["ranking", "ranking_scores"]):
        sums.add(batch["ranking"], batch["ranking_scores"])
    return sums.means(vit.down[0].linear.weight.device) if sums.covers(share) else None


def known_rankings(searches: Iterable[str]) -> list[str]:
    """The names by which neurons can be ranked, where these searches are stored."""
    return list(dict.fromkeys([*CONTROLS, *searches, *METHODS]))


class _Sums:
    """Sums of the scores of ranked neurons."""

    def __init__(self, widths: Sequence[int]) -> None:
        self._sums = [torch.zeros(width, dtype=torch.float64) for width in widths]
        self._ranked = [torch.zeros(width, dtype=torch.bool) for width in widths]
        self._images = 0

    def add(self, ranking: Tensor, scores: Tensor) -> None:
        ranking, scores = ranking.cpu(), scores.detach().cpu().double()
        for layer, (total, ranked) in enumerate(zip(self._sums, self._ranked)):
            total.index_add_(0, ranking[:, layer].flatten(), scores[:, layer].flatten())
            ranked[ranking[:, layer].flatten()] = True
        self._images += len(ranking)

    def covers(self, share: float) -> bool:
        return all(ranked.sum() >= max(1, round(share * len(ranked))) for ranked in self._ranked)

    def means(self, device: torch.device) -> list[Tensor]:
        """Over all processes, which talk by tensors on a device; neurons that no image ranks come after the others."""
        images = max(1, sum(objects_of_processes(self._images)))
        means = [(sum_over_processes(total.to(device)) / images).cpu() for total in self._sums]
        ranked = [sum_over_processes(ranked.long().to(device)).cpu() > 0 for ranked in self._ranked]
        return [torch.where(known, mean, mean.min() - 1) for mean, known in zip(means, ranked)]


def holds_at_all_tokens(vit: OpenViT, table: PathTable) -> bool:
    """Whether stored paths were searched at all tokens of the model."""
    return table.tokens == "all" or vit.has_all_path_tokens


def _refuse_path_tokens(vit: OpenViT, by: str, argument: str) -> NoReturn:
    start, stop = vit.path_tokens.start or 0, vit.path_tokens.stop
    tokens = f"tokens {start} and later" if stop is None else f"tokens {listed(range(start, stop))}"
    raise ArgumentError(
        f"`{argument}` {by} ranks the neurons of this model at its path tokens alone, {tokens}, while its other tokens "
        f"use neurons too: a model that shrinks to it would be another than the one that was searched. "
        f"Rank at all tokens, by a search with tokens: all, or by magnitude"
    )
