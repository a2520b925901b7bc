"""Time and memory of a run of more than a million rows: `python -m benchmarks.million_rows`.

The rows are made up: 1,000 categories, 24 layers of 4,096 neurons, of which the images of a category have 40 per layer
on their paths. Each step runs in a process of its own, whose memory without the step is told too.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import rich
import torch
from jsonargparse import auto_cli

from benchmarks.machine import machine
from nplight.store import RunFolder
from nplight.store.parts import write_table

STEPS = {
    "open": "len(read_paths(folder))",
    "read a column": "len(read_paths(folder)['score'])",
    "resume": "len(stored_images(RunFolder(folder), 'jas'))",
    "read every row": "sum(len(rows['index']) for rows in read_paths(folder).batches(['index', 'neurons']))",
    "form category paths": "len(form_category_paths(read_paths(folder), [1, 5], num_classes={categories}, "
    "category_method='frequency')[1])",
    "compact": "compact(RunFolder(folder), 'jas')",
}
"""Step -> Python expression."""

_CODE = """
import json, re, sys, time
from nplight.results import form_category_paths
from nplight.store import RunFolder, compact, read_paths, stored_images
folder = sys.argv[1]
def peak():
    # Of this program alone: what getrusage tells includes the process that started it.
    return int(re.search(r"VmHWM:\\s+([0-9]+)", open("/proc/self/status").read())[1]) / 2**10
before, start = peak(), time.perf_counter()
{expression}
print(json.dumps({{"seconds": time.perf_counter() - start, "mib_before": before, "mib": peak()}}))
"""


def main(
    rows: int = 1_300_000,
    categories: int = 1000,
    layers: int = 24,
    width: int = 4096,
    ranked: int = 5,
    small_part: int = 256,
    output: str | None = None,
) -> None:
    """Measure, print and, with `output`, write JSON.

    Args:
        rows: images.
        categories: of the images.
        layers: of the model.
        width: neurons per layer.
        ranked: candidates per layer that are stored.
        small_part: rows per part of a run that has not ended, which `compact` takes.
        output: a JSON file for the figures.
    """
    shape = {"categories": categories, "layers": layers, "width": width, "ranked": ranked}
    measured = {}
    with tempfile.TemporaryDirectory() as folder:
        with patch("os.fsync"):  # of thousands of parts, which a run writes one by one over hours
            write_made_up(Path(folder), rows, small_part, **shape)
        measured["compact"] = _measured("compact", folder, categories)
        for step in STEPS.keys() - {"compact"}:
            measured[step] = _measured(step, folder, categories)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    found: dict[str, Any] = {
        **machine(torch.device("cpu")),
        "rows": rows,
        **shape,
        "parts_before_compaction": -(-rows // small_part),
        "gb": round(size / 1e9, 2),
        "measured": {step: measured[step] for step in STEPS},
    }
    rich.print(found)
    if output is not None:
        Path(output).write_text(json.dumps(found, indent=2) + "\n")


def write_made_up(folder: Path, rows: int, part: int, *, categories: int, layers: int, width: int, ranked: int) -> None:
    """A run of made-up rows: every fifth number is missing, as in a discover split."""
    draw = np.random.default_rng(0)
    run = RunFolder(folder)
    for start in range(0, rows, part):
        count = min(part, rows - start)
        position = np.arange(start, start + count)
        own = draw.integers(0, 40 // ranked, (count, layers, ranked), dtype=np.int32) * ranked
        own += np.arange(ranked, dtype=np.int32)  # distinct in each layer
        ranking = (own + (position % categories * 37)[:, None, None].astype(np.int32)) % width
        scores = draw.random((count, layers, ranked), dtype=np.float32)
        table = pa.table(
            {
                "index": position + position // 4,
                "file": pa.array([f"n{number % categories:08d}/image_{number:08d}.JPEG" for number in position]),
                "label": position % categories,
                "target": position % categories,
                "prediction": position % categories,
                "probability": scores[:, 0, 0],
                "score": scores[:, 0, 0],
                "checksum": draw.integers(0, 1 << 32, count),
                "search": pa.array(["jas"] * count),
                "neurons": _tensors(ranking[..., :1]),
                "neuron_scores": _tensors(scores[..., :1]),
                "ranking": _tensors(ranking),
                "ranking_scores": _tensors(scores),
            }
        )
        write_table(run.parts, table, None)


def _tensors(values: np.ndarray) -> pa.Array:
    return pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(values))


def _measured(step: str, folder: str, categories: int) -> dict[str, float]:
    code = _CODE.format(expression=STEPS[step].format(categories=categories))
    done = subprocess.run([sys.executable, "-c", code, folder], check=True, capture_output=True, text=True)
    return {name: round(value, 2) for name, value in json.loads(done.stdout).items()}


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
