"""What the report shows of the image paths: some images of each category, and counts over all of them."""

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
    """The paths of some images, ordered by category.

    Attributes:
        category: (images,) int64; the predicted one where an image has no label.
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

    def first(self, most: int) -> Integers:
        """The positions of at most `most` images of each category."""
        return np.flatnonzero(_rank(self.category) < most)


def unseen(rows: int) -> None:
    """Progress that nobody watches."""


def read_rows(
    table: PathTable, *, categories: int, width: int, most: int, advance: Advance = unseen
) -> tuple[PathSample, NeuronCounts]:
    """Read the rows of one search once: a sample of them, and how often each neuron is on a category's paths.

    Args:
        table: the rows of one search.
        categories: their number.
        width: neurons in the widest layer.
        most: images of a category in the sample; which, their pixels decide.
        advance: called with the number of rows whenever some are read.
    """
    rows = table.to_pandas(_COLUMNS)
    category = rows["label"].fillna(rows["prediction"]).to_numpy(np.int64)
    order = np.lexsort((rows["index"], rows["checksum"], category))
    chosen = order[_rank(category[order]) < most]
    index = rows["index"].to_numpy()
    place = np.full(len(index), -1)
    place[chosen] = np.arange(len(chosen))

    layers = table.shape("neurons")[0]
    counts = NeuronFrequency(categories, layers, width, sync_on_compute=False)
    neurons = np.zeros((len(chosen), layers), np.int64)
    for batch in table.batches(["index", "neurons"]):
        paths = batch["neurons"]
        positions = np.searchsorted(index, batch["index"].numpy())
        counts.update(paths, torch.from_numpy(category[positions]))
        wanted = place[positions] >= 0
        neurons[place[positions][wanted]] = paths[torch.from_numpy(wanted), :, 0].numpy()
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
    # torchmetrics makes a number of the images of a single category.
    return sample, NeuronCounts(totals.counts, totals.images.reshape(-1))


def _rank(category: Integers) -> Integers:
    """Each one's place among those of its category, which stand together."""
    starts = np.flatnonzero(np.r_[True, category[1:] != category[:-1]]) if len(category) else np.zeros(0, np.int64)
    return np.arange(len(category)) - np.repeat(starts, np.diff(np.r_[starts, len(category)]))
