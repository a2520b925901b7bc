"""The names of the files in a run folder."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CONFIG = "config.yaml"
SETTINGS = "settings.json"
PATHS = "paths"
"""The folder of the Parquet parts."""

CATEGORY_PATHS = "category_paths.json"
SKIPPED = "skipped_files.csv"
SHARD = "shard.json"
"""Which n-th of the images a run of `--shard` has; written when it has ended."""

STRANGEST = "strangest.csv"
"""The images of `predict` whose paths are least like those of their category."""

METRICS_JSON = "metrics.json"
METRICS_CSV = "metrics.csv"
BY_CATEGORY = "by_category.csv"
COMPARISON_MARKDOWN = "comparison.md"
COMPARISON_LATEX = "comparison.tex"
SELECTIVITY = "selectivity.json"
STABILITY = "stability.json"
SANITY = "sanity.json"

REPORT = "report.html"
COMPARED_REPORT = "compared.html"
"""The page of a run beside another."""

ABOUT = "run.json"
"""Names, model, time and versions of a run, for its report."""

PICTURES = "pictures.json"
"""Thumbnails of some held-out images, for the report."""

CONCEPT_NAMES = "concept_names.json"
"""Words for the neurons of the category paths: `report --names`."""

REMOVED_ALONE = "removed_alone.json"
"""What the removal of each neuron of the category paths alone does: `report --alone`."""

PLANTED_JSON = "planted.json"
PLANTED_PAGE = "planted.html"
"""How well methods recover known paths: the command `planted`."""

SHRUNK = "shrunk"
"""The folder of smaller models: the command `shrink`. Each has a folder of its own there, such as `magnitude-0.5`."""

PRUNED = "pruned"
"""The folder of the smaller model that a training under masks ends in."""

LOADS = "loads.safetensors"
BURDEN_JSON = "burden.json"
BURDEN_PAGE = "burden.html"

SHRUNK_MODEL = "model.safetensors"
SHRUNK_ONNX = "model.onnx"
SHRUNK_JSON = "shrink.json"
SHRUNK_PAGE = "shrink.html"

RESULTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "search": (
            CATEGORY_PATHS,
            SKIPPED,
            STRANGEST,
            CONCEPT_NAMES,
            REMOVED_ALONE,
            f"{PATHS}/part-*.parquet",
            f"{PATHS}/damaged-*.parquet",
            f"{PATHS}/foreign-*.parquet",
            f"{PATHS}/compacted-*/*",
            f"{PATHS}/.compacting-*/*",
            SHARD,
        ),
        "evaluation": (
            METRICS_JSON,
            METRICS_CSV,
            BY_CATEGORY,
            COMPARISON_MARKDOWN,
            COMPARISON_LATEX,
            SELECTIVITY,
            STABILITY,
            SANITY,
            REPORT,
            COMPARED_REPORT,
            ABOUT,
            PICTURES,
        ),
    }
)
"""Section of the settings -> its result files; the results of a section depend on those of earlier sections.

A section whose name continues after a space, such as `search jas`, is a part of the section before the space.
"""

_SAME_COMMAND = "the same command again writes it anew"

WAYS_OUT: Mapping[str, str] = MappingProxyType(
    {
        SETTINGS: "start anew with --overwrite",
        SHARD: "the same command in this folder writes it anew",
        CATEGORY_PATHS: "the same validate again forms it anew",
        METRICS_JSON: _SAME_COMMAND,
        SELECTIVITY: _SAME_COMMAND,
        STABILITY: _SAME_COMMAND,
        SANITY: _SAME_COMMAND,
        ABOUT: _SAME_COMMAND,
        PICTURES: _SAME_COMMAND,
        CONCEPT_NAMES: "report --names writes it anew",
        REMOVED_ALONE: "report --alone writes it anew",
    }
)
"""JSON file -> the way out if it is damaged."""
