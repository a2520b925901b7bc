"""The default search, with as few nodes as decide, against the search of every node, alternating in one process.

    python -m benchmarks.adaptive --output benchmarks/results/adaptive.json

Times are CPU seconds of the process, the smallest of the rounds. `--sharp` takes weights of `benchmarks.sharp_model`.
Besides, how the error of a layer's scores falls with the evaluations: of the Gauss rule of the 20 nodes against their
sum, and of as many Riemann nodes against the integral.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import rich
import timm
import torch
from jsonargparse import auto_cli
from torch import Tensor, nn

from benchmarks.agreement import _digits, _digits_model
from benchmarks.machine import machine
from benchmarks.published_order import published_search
from benchmarks.sharp_model import held_digits, sharp_model
from nplight import PathBatch, open_vit, search
from nplight.attribution import Problem, clean_pass, quadrature
from nplight.attribution.layer_scores import layer_sums
from nplight.vit import undisturbed

Row = dict[str, Any]


def main(
    images: int = 100, rounds: int = 3, sharp: str | None = None, sharp_features: int = 384, output: str | None = None
) -> None:
    """Compare, print and, with `output`, write JSON.

    Args:
        images: how many digits.
        rounds: how often each has its turn.
        sharp: weights of the sharp model; `None`: without it.
        sharp_features: of its stream.
        output: a JSON file for the figures.
    """
    digits, model = _digits(images), _digits_model()
    large = _large(1)
    rows = [
        compare("digits, K = 1", model, *digits, rounds=rounds),
        compare("digits, K = 10", model, *digits, rounds=rounds, top_k=10),
        compare("digits, K = 1, 200 nodes", model, *digits, rounds=1, steps=200),
        compare("digits, joint integrated gradients", model, *digits, rounds=rounds, method=_JIG),
        compare("vit_tiny_patch16_224", *large, rounds=rounds),
        compare("vit_tiny_patch16_224, frozen", *_large(16), rounds=rounds, patch_stream="frozen"),
    ]
    if sharp is not None:
        held, labels = held_digits()
        few = slice(0, images // 4)
        rows.append(compare("sharp model", sharp_model(sharp, sharp_features), held[few], labels[few], rounds=1))
    found = {
        **machine(torch.device("cpu")),
        "comparisons": rows,
        "published_seconds": _published(*large),
        "clean_forward_seconds": _clean_forward(*_large(16)),
        "errors": list(_errors(model, *_digits(40))),
    }
    rich.print(found)
    if output is not None:
        Path(output).write_text(json.dumps(found, indent=2) + "\n")


_JIG = "joint_integrated_gradients"


def compare(name: str, model: nn.Module, images: Tensor, labels: Tensor, *, rounds: int, **options: Any) -> Row:
    """One row: CPU seconds per image with every node and by default, what was spent, and how far the results agree."""
    runs: dict[str, Callable[[], PathBatch]] = {
        "every": lambda: search(model, images, labels, tolerance=0, **options),
        "default": lambda: search(model, images, labels, **options),
    }
    search(model, images[:1], labels[:1], **options)
    seconds: dict[str, list[float]] = {kind: [] for kind in runs}
    results = {}
    for _ in range(rounds):
        for kind, run in runs.items():
            start = time.process_time()
            results[kind] = run()
            seconds[kind].append((time.process_time() - start) / len(images))
    every, default = results["every"], results["default"]
    same = (every.neurons.sort(2).values == default.neurons.sort(2).values).flatten(1).all(1)
    errors = (default.scores - every.scores).abs() / every.scores.abs()
    return {
        "of": name,
        "images": len(images),
        "seconds_every_node": min(seconds["every"]),
        "seconds_default": min(seconds["default"]),
        "equal_paths": int(same.sum()),
        "largest_score_error": errors.max().item(),
        "median_score_error": errors.median().item(),
        "evaluations": default.evaluations.double().mean().item(),
        "every_evaluations": every.evaluations.double().mean().item(),
        "in_full": int((default.evaluations >= every.evaluations).sum()),
    }


def _large(count: int) -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224")
    return model, torch.randn(count, 3, 224, 224), torch.arange(count)


def _published(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    vit = open_vit(model)
    with undisturbed(vit.model):
        start = time.process_time()
        published_search(vit, images, labels, steps=20)
        return time.process_time() - start


def _clean_forward(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    model.eval()
    seconds = []
    for _ in range(5):
        start = time.process_time()
        with torch.no_grad():
            model(images)
        seconds.append(time.process_time() - start)
    return min(seconds) / len(images)


def _errors(model: nn.Module, images: Tensor, labels: Tensor) -> Iterator[Row]:
    """Relative error of the best neuron's score by nodes, median over images, in layers 0 and 3, in float64."""
    vit = open_vit(model.double())
    path = search(vit, images.double(), labels, tolerance=0).neurons
    with undisturbed(vit.model):
        clean = clean_pass(vit, images.double())

        def problem(steps: int, rule: str) -> Problem:
            nodes, weights = (values.to(clean.values[0]) for values in quadrature(steps, rule))
            return Problem(vit, clean, labels, nodes, weights, 400, rule)

        for layer in (0, 3):
            full, converged = (
                layer_sums(problem(*rule), path[:, :layer])[:, 0].amax(1)
                for rule in ((20, "riemann-left"), (64, "gauss-legendre"))
            )
            for count in (2, 3, 4, 5, 6, 8, 10, 12, 16):
                every = problem(20, "riemann-left")
                kinds = {"Gauss rule of 20 Riemann nodes, against their sum": (every.with_nodes(count), full)}
                if layer == 0:
                    kinds["the same, poles mapped away"] = (every.with_mapped_nodes(count), full)
                kinds["Riemann nodes, against the integral"] = (problem(count, "riemann-left"), converged)
                for kind, (search_with, expected) in kinds.items():
                    scores = layer_sums(search_with, path[:, :layer])[:, 0].amax(1)
                    error = ((scores - expected) / expected).abs().median().item()
                    yield {"layer": layer, "rule": kind, "nodes": count, "error": max(error, 1e-16)}


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
