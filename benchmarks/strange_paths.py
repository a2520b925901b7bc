"""How well strange paths tell images that are mislabelled, attacked or shifted, on the digits.

    python -m benchmarks.strange_paths

Writes `benchmarks/results/strange_paths.json` and docs/strange_paths.md; `--page_only true` the page alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rich
import torch
from jsonargparse import auto_cli
from torch import Tensor

from benchmarks.auroc import with_intervals
from benchmarks.machine import machine
from benchmarks.strange_cases import CASES, StrangeCase
from nplight import PathBatch, search
from nplight.metrics import neuron_frequency
from nplight.results import strangeness
from nplight.results.strange_paths import NEURONS
from nplight.vit import open_vit

METHODS = ("jas", "joint_integrated_gradients", "gradient_activation", "random")
BASELINE = "confidence"
_PAGE = Path(__file__).with_name("strange_paths_page.md")
_RESULTS = Path(__file__).parent / "results" / "strange_paths.json"


def main(
    methods: Sequence[str] = METHODS,
    neurons: Sequence[int] = (1, NEURONS),
    cases: Sequence[str] = tuple(CASES),
    output: str = str(_RESULTS),
    docs: str = "docs",
    page_only: bool = False,
) -> None:
    """Measure, and write the JSON file and the page.

    Args:
        methods: that find the paths.
        neurons: per layer that are compared.
        cases: of `CASES`.
        output: the JSON file.
        docs: the folder of `strange_paths.md`.
        page_only: whether the page is written from the JSON file that is there.
    """
    if not page_only:
        measured: dict[str, Any] = {**machine(torch.device("cpu")), "cases": {}}
        for name in cases:
            start = time.perf_counter()
            measured["cases"][name] = screened(CASES[name](torch.Generator().manual_seed(0)), methods, neurons)
            rich.print(f"{name}: {time.perf_counter() - start:.0f} s")
            Path(output).write_text(json.dumps(measured, indent=2) + "\n")
    (Path(docs) / "strange_paths.md").write_text(page(json.loads(Path(output).read_text())), encoding="utf-8")


def screened(
    case: StrangeCase, methods: Sequence[str], neurons: Sequence[int], *, replicates: int = 1000
) -> dict[str, Any]:
    """The area under the ROC curve of confidence, and of the strangeness of every method's paths.

    Args:
        case: the images.
        methods: that find the paths.
        neurons: per layer that are compared.
        replicates: of the bootstrap.
    """
    scores = {}
    for method in methods:
        found = _paths(case, case.images, case.labels, method, max(neurons))
        others = found if case.reference is None else _paths(case, case.reference.images, None, method, max(neurons))
        scores[BASELINE] = -found.probability
        for count in neurons:
            scores[f"{method}, {count} per layer"] = _strangeness(case, found, others, count)
    values = [score.double().numpy() for score in scores.values()]
    areas, differences = with_intervals(values, case.strange.numpy(), replicates=replicates)
    return {
        "images": len(case.strange),
        "strange": int(case.strange.sum()),
        "auroc": dict(zip(scores, areas)),
        "difference": dict(zip(scores, differences)),
    }


def _paths(case: StrangeCase, images: Tensor, labels: Tensor | None, method: str, ranked: int) -> PathBatch:
    return search(case.model, images, labels, method=method, ranked=ranked)


def _strangeness(case: StrangeCase, found: PathBatch, others: PathBatch, neurons: int) -> Tensor:
    vit = open_vit(case.model)
    counts = neuron_frequency(
        others.ranking[..., :neurons], others.targets, num_classes=vit.num_classes, width=max(vit.widths)
    )
    values = strangeness(found.ranking[..., :neurons], found.targets, counts, among=case.reference is None)
    return values.nan_to_num(1)  # alone in its category: as strange as can be


def page(measured: dict[str, Any]) -> str:
    """The text, from what `main` measured."""
    cases = measured["cases"]
    return _PAGE.read_text(encoding="utf-8").format(
        cases=cases,
        counts="".join(f"| {name} | {case['images']} | {case['strange']} |\n" for name, case in cases.items()),
        areas=_table(cases, "auroc", "{:.2f} [{:.2f}, {:.2f}]"),
        differences=_table(cases, "difference", "{:+.2f} [{:+.2f}, {:+.2f}]"),
    )


def _table(cases: dict[str, Any], key: str, form: str) -> str:
    scores = list(next(iter(cases.values()))[key])
    lines = [["score", *cases], ["---", *("---:" for _ in cases)]]
    lines += [
        [score, *(form.format(*case[key][score]) for case in cases.values())]
        for score in scores
        if key == "auroc" or score != BASELINE
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
