"""What half of the neurons saves: parameters, FLOPs and latency of the FFNs, beside what their sizes predict.

python -m benchmarks.shrink        prints the table (a minute on two cores)
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import timm
import torch
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from benchmarks.flops import flops
from benchmarks.machine import machine
from benchmarks.measure import measure
from nplight import open_vit, shrink

MODELS = ("vit_small_patch16_224", "vit_base_patch16_224")


@dataclass(frozen=True)
class Saved:
    """The FFNs of a smaller model as a share of those of the model.

    Attributes:
        predicted: of the weights of the linear layers, from their sizes.
        parameters: counted.
        flops: counted.
        seconds: measured, medians of alternating rounds.
        model_seconds: of the whole models.
    """

    predicted: float
    parameters: float
    flops: float
    seconds: float
    model_seconds: float


def saved(model: nn.Module, images: Tensor, *, keep: float = 0.5, rounds: int = 9) -> Saved:
    """Compare a timm ViT with the one that keeps a share of its neurons."""
    vit = open_vit(model)
    small = shrink(model, [torch.arange(round(keep * width)) for width in vit.widths])
    with torch.no_grad():
        stream = vit.embed(images)
        works = {name: _ffns(part, stream) for name, part in (("whole", model), ("small", small))}
        wholes = {name: _whole(part, images) for name, part in (("whole", model), ("small", small))}
        times = measure(works, rounds=rounds, device=images.device)
        model_times = measure(wholes, rounds=rounds, device=images.device)
        counts = {name: flops(work) for name, work in works.items()}
    numbers = {
        name: sum(parameter.numel() for mlp in _mlps(part) for parameter in mlp.parameters())
        for name, part in (("whole", model), ("small", small))
    }
    kept = [len(range(round(keep * width))) / width for width in vit.widths]
    return Saved(
        predicted=sum(kept) / len(kept),
        parameters=numbers["small"] / numbers["whole"],
        flops=counts["small"] / counts["whole"],
        seconds=times["small"].seconds / times["whole"].seconds,
        model_seconds=model_times["small"].seconds / model_times["whole"].seconds,
    )


def _mlps(model: nn.Module) -> list[nn.Module]:
    blocks: Any = model.blocks
    return [block.mlp for block in blocks]


def _ffns(model: nn.Module, stream: Tensor) -> Callable[[], object]:
    mlps = _mlps(model)

    def run() -> None:
        with torch.no_grad():
            for mlp in mlps:
                mlp(stream)

    return run


def _whole(model: nn.Module, images: Tensor) -> Callable[[], object]:
    def run() -> None:
        with torch.no_grad():
            model(images)

    return run


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="What half of the neurons saves.")
    parser.add_argument("--models", nargs="+", default=MODELS, help="names of timm")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    device = torch.device(chosen.device)
    table = Table(title="FFNs with half of the neurons, as a share of all", box=box.SIMPLE_HEAD, title_justify="left")
    for column in ("model", "predicted", "parameters", "FLOPs", "latency", "whole model's latency"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for name in chosen.models:
        torch.manual_seed(0)
        model = timm.create_model(name).eval().to(device)
        images = torch.randn(chosen.batch, 3, *model.patch_embed.img_size, device=device)
        share = saved(model, images, rounds=chosen.rounds)
        values = (share.predicted, share.parameters, share.flops, share.seconds, share.model_seconds)
        table.add_row(name, *(f"{value:.3f}" for value in values))
    console = Console()
    console.print(table)
    console.print(machine(device))


if __name__ == "__main__":
    main()
