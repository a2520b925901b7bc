"""Compare all methods on the bundled digits model and write what was found as a page.

    python -m benchmarks.results --output docs/results.md

Every number on that page is one that this command made; nothing is written by hand but the words between.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonargparse import auto_cli

import nplight.callbacks  # noqa: F401  (so that the configuration may name them)
from nplight.cli import main as train
from nplight.data import DigitsDataModule
from nplight.store.file_names import COMPARISON_MARKDOWN, METRICS_JSON, SELECTIVITY

_INTRODUCTION = """\
# Results on the digits model

What `nplight` finds on the ViT that comes with it (6 layers of 256 neurons, 17 tokens, trained on {trained:,} digits),
reported as it is. Paths are found on {discover} digits that it was not trained on, and tested on {images} others; every
path edits the class token alone. With so few and so easy images most differences are small: read the intervals.

Made by

    python -m benchmarks.results --output docs/results.md

which runs `python train.py validate --config configs/compare_digits.yaml` and writes the tables below from its run
folder. Brackets hold 95% bootstrap intervals over images; the best value of a row is bold, unless all are alike.

## The paper's claims

Each held against the other methods by paired differences: *held* where the interval of the difference to every other
method is above 0, *not held* where one is below, else *undecided* at this number of images. `jas_category`, one path
for a category's images jointly, is a variant of `jas` and no rival.

{claims}
## Methods compared

The joint score is that of the image paths, on the images they were found with. All other measures are of the category
paths on held-out images.

{comparison}
## The paths themselves

*Area under pruning*: mean top-1 over the logarithm of the neurons kept in a layer, from 1 to all, with all others
pruned; *over random*: paired difference to that of random neurons. *Neurons as the first*: share in common with `jas`.
*Distance*: 1 - share of neurons that two images' paths have in common, of one category or of two (intervals over
categories).

{paths}
## Faithfulness

Top-1 in percent with all but the neurons of the category path pruned, by neurons a layer kept.

{faithfulness}
## Selectivity

Top-1 in percent of the images of a category (down) under the path of a category (across), {kept} neuron a layer kept
and all others pruned. Under the path of its own category an image is right in {own} of cases, under the others in
{others}; the difference is {difference} points.

{selectivity}
## Similar categories

Cosine of how often each neuron stands on the paths of a category's images, `jas`.

| most similar | cosine | least similar | cosine |
| --- | ---: | --- | ---: |
{similar}"""


def main(run_dir: str = "runs/compare_digits", output: str | None = None) -> None:
    """Run the comparison and write the page.

    Args:
        run_dir: the run folder; a finished run is read, not run again.
        output: the page; printed without.
    """
    run = Path(run_dir)
    train(["validate", "--config", "configs/compare_digits.yaml", "--run_dir", run_dir])
    metrics, selectivity = (json.loads((run / name).read_text()) for name in (METRICS_JSON, SELECTIVITY))
    comparison, paths, claims = (run / COMPARISON_MARKDOWN).read_text().split("\n\n")
    page = _INTRODUCTION.format(
        trained=len(DigitsDataModule().train_data()),  # type: ignore[arg-type]
        discover=metrics["paths"]["jas"]["joint_score"]["images"],
        images=metrics["images"],
        claims=claims,
        comparison=comparison + "\n",
        paths=paths + "\n",
        faithfulness=_faithfulness(metrics["faithfulness"]),
        kept=selectivity["kept"],
        own=_interval(selectivity["own"], "%"),
        others=_interval(selectivity["others"], "%"),
        difference=_interval(selectivity["difference"], ""),
        selectivity=_matrix(selectivity["accuracy"]),
        similar=_pairs(metrics["paths"]["jas"]),
    )
    if output is None:
        print(page)
    else:
        Path(output).write_text(page)


def _faithfulness(curves: dict[str, Any]) -> str:
    sizes = next(iter(curves.values()))["sizes"]
    rows = [
        [
            f"`{name}`",
            *(f"{one['value'] * 100:.1f} [{one['low'] * 100:.1f}, {one['high'] * 100:.1f}]" for one in values),
        ]
        for name, values in ((name, curve["accuracy"]) for name, curve in curves.items())
    ]
    return _table(["", *map(str, sizes[:-1]), f"{sizes[-1]} (all)"], rows)


def _matrix(accuracy: list[list[float]]) -> str:
    rows = [[str(category), *(f"{value * 100:.1f}" for value in row)] for category, row in enumerate(accuracy)]
    return _table(["", *map(str, range(len(accuracy)))], rows)


def _pairs(paths: dict[str, Any]) -> str:
    pairs = zip(paths["most_similar"][:5], paths["least_similar"][:5])
    return "".join("| " + " | ".join(map(_pair, pair)) + " |\n" for pair in pairs)


def _pair(pair: dict[str, Any]) -> str:
    first, second = pair["categories"]
    return f"{first} and {second} | {pair['value']:.3f} [{pair['low']:.3f}, {pair['high']:.3f}]"


def _interval(found: dict[str, float], unit: str) -> str:
    value, low, high = (f"{found[name] * 100:.1f}" for name in ("value", "low", "high"))
    return f"{value}{unit} [{low}, {high}]"


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
