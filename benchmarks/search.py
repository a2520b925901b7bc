"""The engine against the oracle (one `autograd.grad` a layer and node), at equal results.

    python -m benchmarks.search --output benchmarks/results/search.json

Both hold as many rows in flight: the oracle passes the batch once a node, the engine gets the batch as its chunk. A
third column lets the engine choose its chunk.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path

import rich
import timm
import torch
from jsonargparse import auto_cli
from rich.table import Table

from benchmarks.measure import Measured, measure
from nplight import PathBatch, open_vit, search
from nplight.attribution import plain_search
from nplight.vit import undisturbed


def main(
    model: str = "vit_tiny_patch16_224",
    images: int = 4,
    steps: int = 20,
    rounds: int = 3,
    device: str = "cuda" if torch.cuda.is_available() else "cpu",
    output: str | None = None,
) -> None:
    """Measure, print a table and, with `output`, write JSON.

    Args:
        model: a timm model, with random weights.
        images: images in the batch.
        steps: quadrature nodes.
        rounds: how often each is run; medians are shown.
        device: where.
        output: a JSON file for the figures.
    """
    torch.manual_seed(0)
    place = torch.device(device)
    vit = open_vit(timm.create_model(model).to(place))
    batch = torch.randn(images, *(size or 224 for size in vit.image_shape()), device=place)
    targets = torch.arange(images, device=place)

    def oracle() -> PathBatch:
        with undisturbed(vit.model):
            return plain_search(vit, batch, targets, steps=steps)

    def engine(chunk_size: int | None) -> PathBatch:
        return search(vit, batch, targets, steps=steps, chunk_size=chunk_size)

    _check_equal(oracle(), engine(None))
    found = measure(
        {
            "oracle": oracle,
            f"engine, chunk {images}": lambda: engine(images),
            "engine, automatic chunk": lambda: engine(None),
        },
        rounds=rounds,
        device=place,
    )
    settings = {
        "model": model,
        "images": images,
        "steps": steps,
        "device": torch.cuda.get_device_name(place) if place.type == "cuda" else f"CPU {platform.machine()}",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    rich.print(settings, _table(found, images))
    if output is not None:
        rows = {name: {"seconds": one.seconds, "peak_mib": one.peak_mib} for name, one in found.items()}
        Path(output).write_text(json.dumps({**settings, "measured": rows}, indent=2) + "\n")


def _check_equal(one: PathBatch, other: PathBatch) -> None:
    """A ratio of times means something only for the same results."""
    agree = (one.neurons == other.neurons).float().mean().item()
    torch.testing.assert_close(one.scores, other.scores, rtol=1e-3, atol=1e-6)
    if agree < 0.99:
        raise SystemExit(f"the engine agrees with the oracle on {agree:.1%} of the neurons only")


def _table(found: dict[str, Measured], images: int) -> Table:
    table = Table("", "s / image", "× faster", "peak MiB", "× memory")
    first = next(iter(found.values()))
    for name, one in found.items():
        ratio = "" if one.peak_mib is None or first.peak_mib is None else f"{one.peak_mib / first.peak_mib:.2f}"
        peak = "" if one.peak_mib is None else f"{one.peak_mib:.0f}"
        table.add_row(name, f"{one.seconds / images:.2f}", f"{first.seconds / one.seconds:.2f}", peak, ratio)
    return table


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
