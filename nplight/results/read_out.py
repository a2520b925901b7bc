"""How well categories are told from stored paths alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nplight.metrics import Estimate, PathReadOut, counted_share
from nplight.seeds import hashes

CAVEAT = "the search was given the category that is read out here, so this does not test what the model knows"
"""What must be said wherever a read-out is shown."""


class PathRows(NamedTuple):
    """Paths of images.

    Attributes:
        neurons: (images, layers, K) int64.
        targets: (images,) int64, the category that each path was searched for, which is told.
        checksums: (images,) int64, of each image's pixels.
    """

    neurons: Tensor
    targets: Tensor
    checksums: Tensor


Rows = Callable[[], Iterator[PathRows]]


def read_out(rows: Rows, *, num_classes: int, widths: Sequence[int], seed: int = 0) -> Estimate:
    """The share of images whose category is told from the path by naive Bayes, with Wilson's interval.

    It is fitted to one half of the images and judged by the other; which half an image is in depends on its pixels and
    the seed, so that equal images are in the same. Reads the rows twice, batch by batch.

    Args:
        rows: gives the paths anew at each call.
        num_classes: number of categories.
        widths: neurons in each layer.
        seed: of the halves.

    Returns:
        The share; all NaN if a half has no images.
    """
    model = PathReadOut(num_classes, widths)
    fitted = told = judged = 0
    for paths in rows():
        half = in_first_half(paths.checksums, seed)
        model.update(paths.neurons[half], paths.targets[half])
        fitted += int(half.sum())
    if fitted:
        for paths in rows():
            half = ~in_first_half(paths.checksums, seed)
            told += int((model.guess(paths.neurons[half]) == paths.targets[half]).sum())
            judged += int(half.sum())
    return counted_share(told, judged)


def in_first_half(checksums: Tensor, seed: int) -> Tensor:
    """Whether images are in the half that is fitted to: (images,) int64 -> (images,) bool."""
    return hashes(checksums, seed=seed) % 2 == 0


def random_rows(rows: Rows, widths: Sequence[int], *, seed: int = 0) -> Rows:
    """The control: K successive neurons of each layer from a drawn one on, in place of the paths.

    They depend on the pixels and the seed alone.
    """

    def drawn() -> Iterator[PathRows]:
        for paths in rows():
            top_k = paths.neurons.shape[2]
            layers = [
                # Another seed than that of the halves.
                (
                    hashes(paths.checksums, torch.full_like(paths.checksums, layer), seed=seed + 1)[:, None]
                    + torch.arange(top_k)
                )
                % width
                for layer, width in enumerate(widths)
            ]
            yield paths._replace(neurons=torch.stack(layers, 1))

    return drawn
