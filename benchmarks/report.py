"""Time and memory of making and opening the report of a large run: `python -m benchmarks.report`.

The rows are made up, those of the tests: 1,000 categories x 20 images, 12 layers of 3,072 neurons, and pictures of each
category and of 240 neurons. A process of its own makes the report, so that its memory is nobody else's. Chromium opens
it, where it is installed: until the first path is drawn, and from a choice of a category to its path.
"""

from __future__ import annotations

import base64
import io
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import rich
import torch
from jsonargparse import auto_cli
from PIL import Image

from benchmarks.machine import machine
from tests.report.browser import LAPTOP, chromium, opened, started
from tests.report.samples import write_run

_CODE = """
import json, resource, sys, time
start = time.perf_counter()
from nplight.report import write_report
imported = time.perf_counter()
page = write_report(sys.argv[1])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
seconds = {"import_seconds": imported - start, "seconds": time.perf_counter() - imported}
print(json.dumps({**seconds, "cpu_seconds": time.process_time(), "gib": peak, "page_mb": page.stat().st_size / 1e6}))
"""

# From the event of a choice to the frame that shows it.
_CHANGE = """
  const [category, done] = arguments, field = document.getElementById("category"), start = performance.now();
  field.value = field.list.options[category].value;
  field.dispatchEvent(new Event("change"));
  requestAnimationFrame(() => setTimeout(() => done((performance.now() - start) / 1000)));
"""
_FIRST = "return performance.getEntriesByName('first-chart')[0].startTime / 1000"
_LAYERS, _WIDTH, _DRIVERS, _PER_NEURON, _PER_CATEGORY = 12, 3072, 240, 9, 4


def main(categories: int = 1000, images: int = 20, output: str | None = None) -> None:
    """Measure, print and, with `output`, write JSON.

    Args:
        categories: number of categories.
        images: of each.
        output: a JSON file for the figures.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = write_run(folder, categories=categories, images=images, layers=_LAYERS, width=_WIDTH, parts=20)
        paths, _ = run.read_category_paths()
        run.write("pictures.json", json.dumps(made_up_pictures(paths["jas"][1].neurons[:, :, 0].tolist())))
        done = subprocess.run([sys.executable, "-c", _CODE, folder], check=True, capture_output=True, text=True)
        measured = {**json.loads(done.stdout), **in_the_browser(folder / "report.html", categories)}
    measured = {name: round(value, 2) for name, value in measured.items()}
    found: dict[str, Any] = {**machine(torch.device("cpu")), "images": categories * images, **measured}
    rich.print(found)
    if output is not None:
        Path(output).write_text(json.dumps(found, indent=2) + "\n")


def in_the_browser(page: Path, categories: int) -> dict[str, float]:
    """Seconds to the first path, and from a choice to its path (median and longest); empty without Chromium."""
    if chromium() is None:
        return {}
    with started() as driver, opened(driver, page, LAPTOP):
        first = float(driver.execute_script(_FIRST))
        changes = [
            float(driver.execute_async_script(_CHANGE, category)) for category in range(1, categories, categories // 20)
        ]
    return {"first_path_seconds": first, "change_seconds": statistics.median(changes), "longest_change": max(changes)}


def made_up_pictures(paths: list[list[int]]) -> dict[str, Any]:
    """As `pictures.json`: smooth noise of 64 x 64 pixels, for all categories and for neurons of the first paths."""
    draw = np.random.default_rng(0)
    sources = [_thumbnail(draw) for _ in range(200)]
    pictures = [
        # A comment makes every picture another one, as those of a run are.
        {"file": f"image {number}", "label": number // _PER_CATEGORY, "source": f"{sources[number % 200]}#{number}"}
        for number in range(_PER_CATEGORY * len(paths))
    ]
    neurons = list(dict.fromkeys((layer, neuron) for path in paths for layer, neuron in enumerate(path)))[:_DRIVERS]
    samples = {
        str(label): [[_PER_CATEGORY * label + place, 0.9, 0.8, 0.95] for place in range(_PER_CATEGORY)]
        for label in range(len(paths))
    }
    drivers = [
        {
            "layer": layer,
            "neuron": neuron,
            "images": [
                [int(draw.integers(len(pictures))), 1.5, draw.integers(100, size=196).tolist()]
                for _ in range(_PER_NEURON)
            ],
        }
        for layer, neuron in neurons
    ]
    return {"grid": [14, 14], "pictures": pictures, "samples": samples, "drivers": drivers}


def _thumbnail(draw: np.random.Generator) -> str:
    """A JPEG of noise."""
    noise = Image.fromarray(draw.integers(256, size=(8, 8, 3), dtype=np.uint8)).resize(
        (64, 64), Image.Resampling.BICUBIC
    )
    buffer = io.BytesIO()
    noise.save(buffer, format="JPEG", quality=75)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
