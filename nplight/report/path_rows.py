"""The image paths as the report shows them: a sample of images per category, and counts over all images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from nplight.metrics import NeuronCounts, NeuronFrequency
from nplight.store import PathTable

Integers = npt.NDArray[np.int64]
Advance = Callable[[int], object]

_COLUMNS = ["index", "file", "label", "prediction", "probability", "score", "checksum"]


@dataclass(frozen=True, slots=True)
class PathSample:
    """The paths of a sample of images, ordered by category.

    Attributes:
        category: (images,) int64; the predicted category of images without a label.
        neurons: (images, layers) int64, the best neuron of each layer.
        files: of each image.
        probability: (images,), of the target, in [0, 1].
        score: (images,), the joint score.
        prediction: (images,) int64.
    """

    category: Integers
    neurons: Integers
    files: list[str]
    probability: npt.NDArray[np.float64]
    score: npt.NDArray[np.float64]
    prediction: Integers

    def __len__(self) -> int:
        return len(self.category)

    def first(self, limit: int) -> Integers:
        """The positions of the first `limit` images of each category."""
        return np.flatnonzero(_rank(self.category) < limit)


def unseen(rows: int) -> None:
    """Ignore progress."""


def read_rows(
    table: PathTable, *, categories: int, width: int, per_category: int, advance: Advance = unseen
) -> tuple[PathSample, NeuronCounts]:
    """Read the rows of a search once: a sample of them, and how often each neuron is on a category's paths.

    Args:
        table: the rows of one search.
        categories: number of categories.
        width: neurons in the widest layer.
        per_category: maximum number of images per category in the sample, chosen by the checksums of their pixels.
        advance: called with the number of rows after each group of rows is read.

    Examples:
        >>> from nplight.report import read_rows, read_run
        >>> run = read_run("runs/digits")
        >>> table = run.image_paths("jas")
        >>> sample, counts = read_rows(table, categories=10, width=max(run.widths), per_category=2)
        >>> len(sample), counts.images.sum().item() == len(table)
        (20, True)
    """
    rows = table.to_pandas(_COLUMNS)
    category = rows["label"].fillna(rows["prediction"]).to_numpy(np.int64)
    order = np.lexsort((rows["index"], rows["checksum"], category))
    chosen = order[_rank(category[order]) < per_category]
    index = rows["index"].to_numpy()
    sample_position = np.full(len(index), -1)
    sample_position[chosen] = np.arange(len(chosen))

    layers = table.shape("neurons")[0]
    counts = NeuronFrequency(categories, layers, width, sync_on_compute=False)
    neurons = np.zeros((len(chosen), layers), np.int64)
    for batch in table.batches(["index", "neurons"]):
        paths = batch["neurons"]
        positions = np.searchsorted(index, batch["index"].numpy())
        counts.update(paths, torch.from_numpy(category[positions]))
        in_sample = sample_position[positions] >= 0
        neurons[sample_position[positions][in_sample]] = paths[torch.from_numpy(in_sample), :, 0].numpy()
        advance(len(paths))
    drawn = rows.iloc[chosen]
    sample = PathSample(
        category=category[chosen],
        neurons=neurons,
        files=drawn["file"].tolist(),
        probability=drawn["probability"].to_numpy(np.float64),
        score=drawn["score"].to_numpy(np.float64),
        prediction=drawn["prediction"].to_numpy(np.int64),
    )
    totals = counts.compute()
    # torchmetrics reduces the tensor of a single category to a number.
    return sample, NeuronCounts(totals.counts, totals.images.reshape(-1))


def _rank(category: Integers) -> Integers:
    """The rank of each image among those of its category, which are adjacent."""
    starts = np.flatnonzero(np.r_[True, category[1:] != category[:-1]]) if len(category) else np.zeros(0, np.int64)
    return np.arange(len(category)) - np.repeat(starts, np.diff(np.r_[starts, len(category)]))
