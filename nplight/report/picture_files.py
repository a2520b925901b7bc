"""One picture file per neuron: the images that drive it, with heat maps, where the page has no room for them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plotly.colors
from PIL import Image

from nplight.errors import ArgumentError
from nplight.report.run_data import Run
from nplight.report.strip_view import neuron_key
from nplight.report.theme import SCALE

_TILE, _GAP = 128, 8
_COLUMNS = 3
_STRENGTH = 0.55


def write_picture_files(run: Run, target: Path) -> list[Path]:
    """Write `L2N217.png` and so on, for every neuron of which the run has pictures.

    Each file has the held-out images with the neuron's largest values, the largest first, three per line; each image is
    followed by itself beneath the neuron's value at each patch, dark 0 to light the image's maximum.

    Args:
        run: the run.
        target: the folder, created if missing.

    Returns:
        The files.

    Raises:
        ArgumentError: the run has no pictures of neurons, or the folder cannot be written to.
    """
    drivers = [driver for driver in run.pictures.get("drivers", ()) if driver["images"]]
    if not drivers:
        raise ArgumentError(
            f"`--pictures` needs a run with pictures of neurons, and {run.path} has none; validate or test with a "
            "PathReport, `per_neuron` above 0, keeps them"
        )
    paths = []
    try:
        target.mkdir(parents=True, exist_ok=True)
        for driver in drivers:
            paths.append(target / f"{neuron_key(driver['layer'], driver['neuron'])}.png")
            _sheet(run.pictures, driver["images"]).save(paths[-1])
    except OSError as error:
        raise ArgumentError(f"`--pictures` must be a folder that can be written to, got {target}: {error}") from error
    return paths


def _sheet(pictures: Mapping[str, Any], entries: Sequence[Sequence[Any]]) -> Image.Image:
    """The images of a neuron in lines."""
    rows = -(-len(entries) // _COLUMNS)
    width, height = 2 * _TILE + _GAP, _TILE + _GAP
    sheet = Image.new("RGB", (_COLUMNS * (width + _GAP) + _GAP, rows * height + _GAP), "white")
    for place, (number, _, patches) in enumerate(entries):
        image = _image(pictures["pictures"][number]["source"])
        left, top = _GAP + place % _COLUMNS * (width + _GAP), _GAP + place // _COLUMNS * height
        sheet.paste(image, (left, top))
        if patches:
            sheet.paste(Image.blend(image, _heat(patches, pictures["grid"]), _STRENGTH), (left + _TILE, top))
    return sheet


def _image(source: str) -> Image.Image:
    """A picture of the run's file in the size of a tile."""
    content = base64.b64decode(source.partition(",")[2])
    return Image.open(io.BytesIO(content)).convert("RGB").resize((_TILE, _TILE), Image.Resampling.NEAREST)


def _heat(patches: Sequence[float], grid: Sequence[int]) -> Image.Image:
    """The values at the patches in colours."""
    colours = plotly.colors.sample_colorscale(SCALE, [min(max(value / 99, 0.0), 1.0) for value in patches])
    levels = np.array([plotly.colors.unlabel_rgb(colour) for colour in colours]).reshape(*grid, 3)
    return Image.fromarray(levels.round().astype(np.uint8)).resize((_TILE, _TILE), Image.Resampling.NEAREST)
