"""What docs/results.md is written from: the part of a run folder that the page shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from nplight.data import DigitsDataModule
from nplight.store.file_names import METRICS_JSON, SANITY, SELECTIVITY, STABILITY

Record = dict[str, Any]

CONFIG = "configs/compare_digits.yaml"

_KEY = ("method", "condition", "kept", "pruned", "tokens", "layers", "scale", "images")
_MEASURES = ("accuracy", "probability", "probability_deviation", "accuracy_deviation")
_SECTIONS = ("normalised_faithfulness", "method_agreement")
_DIGITS = 5
_PAIRS = 5


def read_record(run: Path) -> Record:
    """The part of a run folder that the page shows, with numbers rounded.

    Args:
        run: the folder of a finished `validate` with `PathSelectivity`, `PathStability` and `PathSanity`.
    """
    metrics, selectivity, stability, sanity = (
        json.loads((run / name).read_text()) for name in (METRICS_JSON, SELECTIVITY, STABILITY, SANITY)
    )
    names = [
        f"{measure}{control}{end}"
        for measure in _MEASURES
        for control in ("", "_vs_random")
        for end in ("", "_low", "_high")
    ]
    record = {
        "configuration": configuration(),
        "trained": len(DigitsDataModule().train_data()),  # type: ignore[arg-type]
        **{name: metrics[name] for name in ("images", "notes", "methods", "controls", "claims", *_SECTIONS)},
        "conditions": [{name: row[name] for name in (*_KEY, *names) if name in row} for row in metrics["conditions"]],
        "by_category": [row for row in metrics["by_category"] if row["condition"] in ("removed", "kept")],
        "paths": {name: _path(statistics) for name, statistics in metrics["paths"].items()},
        "selectivity": {name: value for name, value in selectivity.items() if name != "counts"},
        "stability": stability,
        "sanity": sanity,
    }
    rounded: Record = json.loads(json.dumps(record), parse_float=lambda text: float(f"{float(text):.{_DIGITS}g}"))
    return rounded


def configuration(path: Path = Path(CONFIG)) -> dict[str, Any]:
    """What a run depends on, of its configuration file."""
    content = yaml.safe_load(path.read_text())
    callbacks = {
        one["class_path"].rpartition(".")[2]: one.get("init_args", {}) for one in content["trainer"]["callbacks"]
    }
    return {"model": content["model"]["init_args"], "callbacks": callbacks}


def write_record(record: Mapping[str, Any], path: Path) -> None:
    """Write a record as JSON, one line per row of a list of rows."""
    path.write_text(
        "{\n" + ",\n".join(f"{json.dumps(key)}: {_lines(value)}" for key, value in record.items()) + "\n}\n"
    )


def _path(statistics: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in statistics.items() if not isinstance(value, list)}
    pairs = {name: statistics[name][:_PAIRS] for name in ("most_similar", "least_similar") if name in statistics}
    return {**kept, **pairs}


def _lines(value: Any) -> str:
    if not isinstance(value, list):
        return json.dumps(value)
    return "[\n" + ",\n".join(map(json.dumps, value)) + "\n]"
