"""How often searches agree on the bundled digits model: rules and nodes, the frozen patch stream, precisions.

    python -m benchmarks.agreement --output benchmarks/results/agreement.json

Neurons: share of (image, layer) with the same neuron. Paths: share of images with the same neuron in every layer.
Score: the median relative difference of the path's joint score, and the correlation over images.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import rich
import timm
import torch
from jsonargparse import auto_cli
from rich.table import Table
from torch import Tensor, nn

from benchmarks.machine import machine
from nplight import RULES, PathBatch, open_vit, search
from nplight.attribution import plain_search
from nplight.data import DigitsDataModule
from nplight.modules.checkpoint import load_weights
from nplight.vit import undisturbed

CONVERGED: dict[str, Any] = {"rule": "gauss-legendre", "steps": 64, "tolerance": 0}


def main(images: int = 200, output: str | None = None) -> None:
    """Compare, print a table and, with `output`, write JSON.

    Args:
        images: how many of the digits that the model was not trained on.
        output: a JSON file for the figures.
    """
    batch, labels = _digits(images)
    model = _digits_model()
    rows = [*_nodes(model, batch, labels), *_frozen(model, batch, labels), *_precisions(model, batch, labels)]
    rich.print(_table(rows))
    if output is not None:
        found = {**machine(torch.device("cpu")), "images": images, "agreement": rows}
        Path(output).write_text(json.dumps(found, indent=2) + "\n")


def _nodes(model: nn.Module, images: Tensor, labels: Tensor) -> list[dict[str, Any]]:
    """Every rule against the converged integral, in float64."""
    images, model = images.double(), model.double()
    converged = search(model, images, labels, **CONVERGED)
    return [
        _row(
            f"{rule}, {steps} nodes",
            "64 Gauss-Legendre nodes",
            search(model, images, labels, rule=rule, steps=steps, tolerance=0),
            converged,
        )
        for rule in RULES
        for steps in (4, 8, 12, 20, 32)
    ]


def _frozen(model: nn.Module, images: Tensor, labels: Tensor) -> list[dict[str, Any]]:
    images, model = images.double(), model.double()
    rows = []
    settings: list[dict[str, Any]] = [
        {"rule": "riemann-left", "steps": 20, "tolerance": 0},
        {"rule": "gauss-legendre", "steps": 8, "tolerance": 0},
    ]
    for options in settings:
        exact = search(model, images, labels, **options)
        frozen = search(model, images, labels, patch_stream="frozen", **options)
        nodes = f"{options['steps']} {options['rule']} nodes"
        rows.append(_row(f"frozen, {nodes}", f"exact, {nodes}", frozen, exact))
    converged = search(model, images, labels, **CONVERGED)
    frozen = search(model, images, labels, patch_stream="frozen", **CONVERGED)
    return [*rows, _row("frozen, 64 Gauss-Legendre nodes", "64 Gauss-Legendre nodes", frozen, converged)]


def _precisions(model: nn.Module, images: Tensor, labels: Tensor) -> list[dict[str, Any]]:
    exact = search(model.double(), images.double(), labels, tolerance=0)
    single = search(model.float(), images, labels, tolerance=0)
    with undisturbed(model):
        plain = plain_search(open_vit(model), images, labels)
    with torch.autocast("cpu", torch.bfloat16):
        half = search(model, images, labels, tolerance=0)
    return [
        _row("float32", "float64", single, exact),
        _row("one autograd.grad a layer in float32", "float64", plain, exact),
        _row("bfloat16 autocast", "float32", half, single),
    ]


def _row(one: str, other: str, found: PathBatch, reference: PathBatch) -> dict[str, Any]:
    same = (found.neurons == reference.neurons).squeeze(2).double()
    scores = torch.stack([found.scores.double(), reference.scores.double()])
    return {
        "of": one,
        "against": other,
        "neurons": same.mean().item(),
        "paths": same.prod(1).mean().item(),
        "score_difference": ((scores[0] - scores[1]).abs() / scores[1].abs()).median().item(),
        "score_correlation": torch.corrcoef(scores)[0, 1].item(),
    }


def _digits(count: int) -> tuple[Tensor, Tensor]:
    data, labels = DigitsDataModule().evaluation_data()
    return torch.stack([data[position]["image"] for position in range(count)]), labels[:count]


def _digits_model() -> nn.Module:
    shape: dict[str, Any] = {"img_size": 16, "patch_size": 4, "embed_dim": 64, "depth": 6, "num_heads": 4}
    model = timm.create_model("vit_tiny_patch16_224", num_classes=10, **shape)
    load_weights(model, "bundled:digits")
    return model


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table("", "against", "neurons %", "paths %", "score: median difference", "correlation")
    for row in rows:
        shares = (f"{100 * row[name]:.1f}" for name in ("neurons", "paths"))
        scores = (f"{row['score_difference']:.1e}", f"{row['score_correlation']:.5f}")
        table.add_row(row["of"], row["against"], *shares, *scores)
    return table


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
