"""The search's orders of work against each other, at equal results, alternating in one process.

    python -m benchmarks.search --output benchmarks/results/search.json

From the published program's order (one forward pass a layer and node, one backward pass a path entry), over one
`autograd.grad` a layer and node (`nplight.attribution.plain_search`), to the engine, the engine with 8 Gauss–Legendre
nodes, and the frozen patch stream, which is an approximation and measured on a larger batch, as are the exact search it
stands for and a clean forward.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rich
import timm
import torch
from jsonargparse import auto_cli
from rich.table import Table
from torch import Tensor

from benchmarks.flops import flops
from benchmarks.machine import machine, matrix_rate
from benchmarks.measure import Measured, measure
from benchmarks.published_order import published_search
from nplight import PathBatch, open_vit, search
from nplight.attribution import plain_search
from nplight.vit import OpenViT, undisturbed


@dataclass(frozen=True)
class Contender:
    """One order of work: what it runs, on how many images, and how often it passes a block, for an image and node."""

    run: Callable[[], object]
    images: int
    block_passes: dict[str, int]


def main(
    model: str = "vit_tiny_patch16_224",
    images: int = 2,
    frozen_images: int = 16,
    steps: int = 20,
    rounds: int = 3,
    device: str = "cuda" if torch.cuda.is_available() else "cpu",
    threads: int | None = None,
    output: str | None = None,
) -> None:
    """Measure, print a table and, with `output`, write JSON.

    Args:
        model: a timm model, with random weights.
        images: images in the batch of the exact searches.
        frozen_images: images in the batch of the frozen search and of a clean forward.
        steps: quadrature nodes.
        rounds: how often each has its turn; medians are shown.
        device: where.
        threads: of torch; `None`: as many as it takes.
        output: a JSON file for the figures.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    torch.manual_seed(0)
    place = torch.device(device)
    vit = open_vit(timm.create_model(model).to(place))
    contenders = _contenders(vit, images, frozen_images, steps, place)
    settings = {"model": model, "steps": steps, **machine(place), "matrix_gflops": matrix_rate(place) / 1e9}
    results: list[Any] = []
    operations = {name: flops(lambda run=one.run: results.append(run())) for name, one in contenders.items()}
    _check_equal(*results[:4])
    runs = {name: one.run for name, one in contenders.items()}
    measured = measure(runs, rounds=rounds, device=place, warm=True)
    rows = {
        name: _row(one, measured[name], operations[name], settings["matrix_gflops"]) for name, one in contenders.items()
    }
    rich.print(settings, _table(rows))
    if output is not None:
        Path(output).write_text(json.dumps({**settings, "rounds": rounds, "measured": rows}, indent=2) + "\n")


def _contenders(vit: OpenViT, count: int, frozen_count: int, steps: int, place: torch.device) -> dict[str, Contender]:
    many = torch.randn(max(count, frozen_count), *(size or 224 for size in vit.image_shape()), device=place)
    few, labels = many[:count], torch.arange(len(many), device=place)
    targets, depth = labels[:count], vit.depth
    half = depth * (depth - 1) // 2

    def published() -> tuple[Tensor, Tensor, Tensor]:
        with undisturbed(vit.model):
            return published_search(vit, few, targets, steps=steps)

    def plain() -> PathBatch:
        with undisturbed(vit.model):
            return plain_search(vit, few, targets, steps=steps)

    def forward() -> Tensor:
        with undisturbed(vit.model), torch.no_grad():
            logits: Tensor = vit.model(many[:frozen_count])
            return logits

    def exact(chunk_size: int | None = None, **options: Any) -> PathBatch:
        return search(vit, few, targets, **{"steps": steps, "chunk_size": chunk_size, "tolerance": 0, **options})

    def exact_on_many() -> PathBatch:
        return search(vit, many[:frozen_count], labels[:frozen_count], steps=steps, tolerance=0)

    def frozen() -> PathBatch:
        return search(vit, many[:frozen_count], labels[:frozen_count], steps=steps, tolerance=0, patch_stream="frozen")

    engine = {"forward": half, "backward": half, "with tangent": depth - 1}
    # With the joint score of the whole path at the end: of the engine, a pass through the head.
    backward = sum(after**2 for after in range(1, depth + 1)) + depth * (depth + 1) // 2
    forward_passes = depth * (depth + 1)
    return {
        "published order": Contender(published, count, {"forward": forward_passes, "backward": backward}),
        "one autograd.grad a layer": Contender(plain, count, {"forward": forward_passes, "backward": forward_passes}),
        "exact, the same chunk": Contender(lambda: exact(count), count, engine),
        "exact": Contender(exact, count, engine),
        "exact, 8 Gauss-Legendre nodes": Contender(lambda: exact(steps=8, rule="gauss-legendre"), count, engine),
        f"exact, {frozen_count} images": Contender(exact_on_many, frozen_count, engine),
        "frozen": Contender(frozen, frozen_count, {"of the class token alone": 2 * half + depth - 1}),
        "clean forward": Contender(forward, frozen_count, {"forward": depth}),
    }


def _check_equal(published: tuple[Tensor, Tensor, Tensor], plain: PathBatch, *exact: PathBatch) -> None:
    """A ratio of times means something only for the same results."""
    for scores in (published[2], *(one.scores for one in exact)):
        torch.testing.assert_close(plain.scores, scores, rtol=1e-3, atol=1e-6)
    for neurons in (published[0], *(one.neurons.squeeze(2) for one in exact)):
        agree = (neurons == plain.neurons.squeeze(2)).float().mean().item()
        if agree < 0.95:
            raise SystemExit(f"the orders of work agree on {agree:.1%} of the neurons only")


def _row(contender: Contender, measured: Measured, operations: int, matrix_gflops: float) -> dict[str, Any]:
    return {
        "images": contender.images,
        "seconds_per_image": measured.seconds / contender.images,
        "block_passes": contender.block_passes,
        "gflop_per_image": operations / contender.images / 1e9,
        "share_of_matrix_rate": operations / measured.seconds / 1e9 / matrix_gflops,
        "peak_mib": measured.peak_mib,
    }


def _table(rows: dict[str, dict[str, Any]]) -> Table:
    table = Table("", "images", "s / image", "× faster", "GFLOP / image", "% of matrix rate", "peak MiB")
    first = rows["published order"]["seconds_per_image"]
    for name, row in rows.items():
        table.add_row(
            name,
            str(row["images"]),
            f"{row['seconds_per_image']:.4f}",
            f"{first / row['seconds_per_image']:.1f}",
            f"{row['gflop_per_image']:.1f}",
            f"{100 * row['share_of_matrix_rate']:.0f}",
            "" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}",
        )
    return table


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
