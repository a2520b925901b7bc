"""The default search against every node on random small Vision Transformers, with random rules, nodes and K.

    python -m benchmarks.random_models --models 500 --output benchmarks/results/random_models.json

In float64. Ends with an error at the first image whose neurons differ, or whose score is outside the tolerance.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import torch
from jsonargparse import auto_cli
from timm.models.vision_transformer import VisionTransformer

from nplight import RULES, search

TOLERANCE = 1e-6


def main(models: int = 500, images: int = 4, seed: int = 0, output: str | None = None) -> None:
    """Compare, and with `output` write what was spent.

    Args:
        models: how many.
        images: of each.
        seed: of everything that is drawn.
        output: a JSON file.
    """
    torch.set_num_threads(1)
    draw = random.Random(seed)
    evaluations, every = 0, 0
    for number in range(models):
        torch.manual_seed(seed + number)
        model = _model(draw)
        batch = torch.randn(images, 3, 8, 8, dtype=torch.float64)
        targets = torch.randint(5, (images,))
        options = {
            "rule": draw.choice(list(RULES)),
            "steps": draw.randint(2, 60),
            "top_k": draw.randint(1, 10),
            "method": draw.choice(["jas", "joint_integrated_gradients"]),
        }
        fast = search(model, batch, targets, **options)
        full = search(model, batch, targets, tolerance=0, **options)
        if not torch.equal(fast.neurons.sort(2).values, full.neurons.sort(2).values):
            raise SystemExit(f"model {number} ({options}): other neurons")
        if not ((fast.scores - full.scores).abs() <= TOLERANCE * full.scores.abs() + 1e-15).all():
            raise SystemExit(f"model {number} ({options}): a score outside of the tolerance")
        evaluations, every = evaluations + int(fast.evaluations.sum()), every + int(full.evaluations.sum())
    found = {"models": models, "images": images, "evaluations": evaluations, "every_evaluations": every}
    print(found)
    if output is not None:
        Path(output).write_text(json.dumps(found, indent=2) + "\n")


def _model(draw: random.Random) -> VisionTransformer:
    model = VisionTransformer(
        img_size=8, patch_size=4, embed_dim=16, depth=draw.randint(1, 4), num_heads=2, num_classes=5,
        global_pool=draw.choice(["token", "avg"]),
    ).double().eval()  # fmt: skip
    spread = draw.choice([0.1, 0.3, 0.6])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * spread)
        model.head.weight.mul_(draw.choice([1, 1, 5, 30]))
    return model


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
