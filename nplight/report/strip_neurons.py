"""The neurons of a category's strip, each with what a figure shows of it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nplight.report.path_rows import read_rows
from nplight.report.path_strips import Strips, path_strips, strips_of_paths
from nplight.report.run_data import Run
from nplight.results.neuron_names import Neuron


@dataclass(frozen=True, slots=True)
class StripPicture:
    """The image with the largest value of a neuron.

    Attributes:
        pixels: (height, width, 3) uint8.
        heat: (rows, columns) float64 in [0, 1], the neuron's value at each patch; `None` if unknown.
    """

    pixels: npt.NDArray[np.uint8]
    heat: npt.NDArray[np.float64] | None


@dataclass(frozen=True, slots=True)
class StripNeuron:
    """A neuron of a strip.

    Attributes:
        neuron: its number in the layer.
        on_path: whether it is on the category's path; else it is a runner-up.
        support: share of the category's images with the neuron on their own path; `None` if unknown.
        score: its share of the sum of these images' neuron scores; `None` if unknown.
        linked: share of the category's images with this neuron and the path's first one of the next layer.
        picture: `None` if there is none.
        name: of what it answers to, with its score; empty for none.
    """

    neuron: int
    on_path: bool
    support: float | None
    score: float | None
    linked: float | None
    picture: StripPicture | None
    name: str = ""


def strips_of_search(run: Run, search: str) -> Strips | None:
    """The strips of a search over all its images; of its category paths alone without images; `None` without either."""
    paths = run.category_paths(search)
    if run.table is None or search not in run.table.searches:
        return None if paths is None else strips_of_paths(paths)
    table = run.image_paths(search)
    _, counts = read_rows(table, categories=len(run.names), width=max(run.widths), per_category=1)
    return path_strips(table, counts, paths)


def strip_neurons(
    strips: Strips, category: int, pictures: Mapping[str, Any], names: Mapping[Neuron, str]
) -> list[list[StripNeuron]]:
    """The neurons of a category's strip, per layer: the path first, then the runners-up.

    Args:
        strips: of the search.
        category: by number.
        pictures: the contents of `pictures.json`; empty for none.
        names: of neurons.
    """
    images = max(1, int(strips.images[category]))
    drivers = {(driver["layer"], driver["neuron"]): driver["images"] for driver in pictures.get("drivers", ())}
    columns = []
    for layer in range(strips.neurons.shape[1]):
        column: list[StripNeuron] = []
        for box, neuron in enumerate(strips.neurons[category, layer].tolist()):
            if neuron < 0:
                continue
            count = int(strips.count[category, layer, box])
            share = float(strips.share[category, layer, box])
            linked = None
            if strips.links is not None and layer < len(strips.links[category]) and box < max(1, strips.path):
                linked = int(strips.links[category, layer, box, 0]) / images
            driving = drivers.get((layer, neuron), [])
            column.append(
                StripNeuron(
                    neuron,
                    box < strips.path,
                    None if count < 0 else count / images,
                    None if share != share else share,
                    linked,
                    _picture(pictures, driving[0]) if driving and not column else None,
                    names.get((layer, neuron), ""),
                )
            )
        columns.append(column)
    return columns


def _picture(pictures: Mapping[str, Any], entry: tuple[int, float, list[float]]) -> StripPicture:
    number, _, patches = entry
    content = base64.b64decode(pictures["pictures"][number]["source"].partition(",")[2])
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    heat = None
    if patches and pictures["grid"]:
        heat = np.array(patches, dtype=np.float64).reshape(pictures["grid"]) / max(1.0, max(patches))
    return StripPicture(pixels, heat)
