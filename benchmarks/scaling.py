"""How cost grows with images, nodes, depth, width and tokens, one at a time, for the exact and the frozen search.

python -m benchmarks.scaling --output benchmarks/results/scaling.json
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich
import torch
from jsonargparse import auto_cli
from rich.table import Table
from timm.models.vision_transformer import VisionTransformer

from benchmarks.flops import flops
from benchmarks.machine import machine
from benchmarks.measure import measure
from nplight import PathBatch, search

BASE = {"images": 4, "nodes": 8, "depth": 6, "width": 192, "tokens": 65}
CHANGES: dict[str, tuple[int, ...]] = {
    "images": (1, 2, 4, 8, 16, 32),
    "nodes": (2, 4, 8, 16, 32),
    "depth": (2, 4, 6, 8, 12),
    "width": (64, 128, 192, 256, 384),
    "tokens": (17, 37, 65, 101, 197),
}
STREAMS = ("exact", "frozen")


def main(
    rounds: int = 3,
    device: str = "cuda" if torch.cuda.is_available() else "cpu",
    threads: int | None = None,
    output: str | None = None,
) -> None:
    """Measure, print a table and, with `output`, write JSON.

    Args:
        rounds: how often each has its turn; medians are shown.
        device: where.
        threads: of torch; `None`: as many as it takes.
        output: a JSON file for the figures.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    place = torch.device(device)
    rows = [
        row
        for name, values in CHANGES.items()
        for value in values
        for row in _measured(name, {**BASE, name: value}, rounds, place)
    ]
    rich.print(_table(rows))
    if output is not None:
        found = {**machine(place), "base": BASE, "rounds": rounds, "measured": rows}
        Path(output).write_text(json.dumps(found, indent=2) + "\n")


def _measured(changed: str, sizes: dict[str, int], rounds: int, place: torch.device) -> list[dict[str, Any]]:
    runs = {stream: _searching(sizes, stream, place) for stream in STREAMS}
    measured = measure(runs, rounds=rounds, device=place)
    return [
        {
            "changed": changed,
            "value": sizes[changed],
            "patch_stream": stream,
            "seconds": measured[stream].seconds,
            "gflop": flops(run) / 1e9,
            "peak_mib": measured[stream].peak_mib,
        }
        for stream, run in runs.items()
    ]


def _searching(sizes: dict[str, int], stream: str, place: torch.device) -> Callable[[], PathBatch]:
    torch.manual_seed(0)
    side = 16 * round((sizes["tokens"] - 1) ** 0.5)
    shape: dict[str, Any] = {"img_size": side, "patch_size": 16, "depth": sizes["depth"], "embed_dim": sizes["width"]}
    model = VisionTransformer(**shape, num_heads=sizes["width"] // 64).to(place)
    images = torch.randn(sizes["images"], 3, side, side, device=place)
    return lambda: search(model, images, steps=sizes["nodes"], rule="midpoint", patch_stream=stream, tolerance=0)


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table("changed", "to", "patch stream", "s", "GFLOP", "GFLOP / s", "peak MiB")
    for row in rows:
        table.add_row(
            row["changed"],
            str(row["value"]),
            row["patch_stream"],
            f"{row['seconds']:.3f}",
            f"{row['gflop']:.1f}",
            f"{row['gflop'] / row['seconds']:.0f}",
            "" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}",
        )
    return table


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
