"""What the README quotes of the digits run, in a file of the tests.

    .uv/bin/uv run train.py validate --config configs/digits.yaml
    .uv/bin/uv run python -m tests.readme_run runs/digits

write it anew; `tests/test_readme.py` holds it equal to the README and to the model.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from nplight.metrics import MEASURES, ConditionResult, Estimate
from nplight.report.terminal_tables import findings_tables
from nplight.results import Comparison, ControlDifference, Findings
from tests.report.test_terminal_tables import shown

ROOT = Path(__file__).parent.parent
STORED = ROOT / "tests" / "readme_run.json"
CONFIG = ROOT / "configs" / "digits.yaml"
SIZES = ("1", "5", "10")
_KEY = ("method", "condition", "kept", "pruned", "tokens", "layers", "scale", "images")


def configuration() -> dict[str, Any]:
    """What the run depends on, of the configuration file."""
    content = yaml.safe_load(CONFIG.read_text())
    model = content["model"]["init_args"]
    return {
        "model": {name: model[name] for name in ("model_name", "model_args", "checkpoint")},
        "callbacks": [callback.get("init_args") for callback in content["trainer"]["callbacks"][:2]],
    }


def first_screen(stored: dict[str, Any], folder: str) -> list[str]:
    """The lines that the run ends with."""
    text = shown(*findings_tables(_findings(stored), Path(folder)))
    return [line.rstrip() for line in text.splitlines()] + [f"Report: {folder}/report.html"]


def store(run: Path) -> None:
    """Write the file from a run folder."""
    metrics = json.loads((run / "metrics.json").read_text())
    paths = json.loads((run / "category_paths.json").read_text())["methods"]
    names = [
        f"{measure}{control}{end}"
        for measure in ("accuracy", "probability", "probability_deviation")
        for control in ("", "_vs_random")
        for end in ("", "_low", "_high")
    ]
    rows = [row for row in metrics["conditions"] if not row["condition"].startswith(("own", "scaled"))]
    content = {
        "configuration": configuration(),
        "notes": metrics["notes"],
        "methods": metrics["methods"],
        "conditions": [{name: row[name] for name in (*_KEY, *names) if name in row} for row in rows],
        "paths": {name: {size: by_size[size]["neurons"] for size in SIZES} for name, by_size in paths.items()},
    }
    lines = [f"{json.dumps(name)}: {_lines(value)}" for name, value in content.items()]
    STORED.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _lines(value: Any) -> str:
    """JSON with one line per row."""
    if not isinstance(value, list):
        return json.dumps(value)
    return "[\n" + ",\n".join(json.dumps(row) for row in value) + "\n]"


def _findings(stored: dict[str, Any]) -> Findings:
    results, differences = [], []
    for row in stored["conditions"]:
        values = {name: _estimate(row, name) for name in MEASURES if name in row}
        result = ConditionResult(**{name: row[name] for name in _KEY}, values=values)
        results.append(result)
        if "probability_vs_random" in row:
            compared = {name: _estimate(row, f"{name}_vs_random") for name in values}
            differences.append(ControlDifference(result.method, "random", result.key, compared))
    return Findings(
        results=results,
        comparison=Comparison((), ()),
        searches=tuple(stored["methods"]),
        controls=("random",),
        claims=[],
        differences=differences,
        curves={},
        leads={},
        normalised={},
        rationales=[],
        categories=[],
        statistics={},
        agreements={},
        notes=stored["notes"],
    )


def _estimate(row: dict[str, Any], name: str) -> Estimate:
    value, low, high = (float("nan") if row[name + end] is None else row[name + end] for end in ("", "_low", "_high"))
    return Estimate(value, low, high, row["images"])


if __name__ == "__main__":
    store(Path(sys.argv[1]))
    print("\n".join(first_screen(json.loads(STORED.read_text()), "runs/digits")))
