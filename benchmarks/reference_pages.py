"""Write the pages of docs/reference that the tables and the public names of the code say.

python -m benchmarks.reference_pages
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import io
import os
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from unittest import mock

from nplight.cli import main as run
from nplight.command_options import COMMANDS, OPTIONS, Option
from nplight.metrics import MEASURES, OBJECTIVE_MEASURES
from nplight.metrics.measures import ConditionMeasure

FOLDER = Path(__file__).parent.parent / "docs" / "reference"
API = (
    "nplight",
    "nplight.callbacks",
    "nplight.data",
    "nplight.methods",
    "nplight.metrics",
    "nplight.modules",
    "nplight.planted",
    "nplight.pruning",
    "nplight.report",
    "nplight.results",
    "nplight.runs",
    "nplight.searching",
    "nplight.shrinking",
    "nplight.store",
    "nplight.vit",
)
"""The packages whose public names have a page."""

_OF_THEIR_OWN = ("merge", "report", "planted", "shrink")
_COLUMNS = "100"  # of the terminal in which help is formatted


def pages() -> Mapping[str, str]:
    """File name -> content."""
    return {"measures.md": measures_page(), "command_line.md": command_line_page(), **api_pages()}


def api_pages() -> dict[str, str]:
    """The public names of each package, for mkdocstrings to show; a name of several packages is shown at the first."""
    shown: dict[str, str] = {}
    written = {}
    for package in API:
        module = importlib.import_module(package)
        title, _, text = inspect.cleandoc(module.__doc__ or "").partition("\n")
        places = {name: definition(package, name) for name in module.__all__}
        elsewhere = [
            f"`{name}`: see [{shown[place]}]({_api_file(shown[place])})"
            for name, place in places.items()
            if place in shown
        ]
        names = [f"::: {place}" for place in places.values() if place not in shown]
        shown.update(dict.fromkeys(set(places.values()) - set(shown), package))
        parts = [f"# `{package}`", title, text.strip(), *names, "\n".join(f"- {line}" for line in elsewhere)]
        written[f"api/{_api_file(package)}"] = "\n\n".join(filter(None, parts)) + "\n"
    return written


def _api_file(package: str) -> str:
    return f"{package.rpartition('.')[2]}.md"


def definition(package: str, name: str) -> str:
    """The dotted name of a public name where it is defined: packages may have a module of the same name."""
    value = getattr(importlib.import_module(package), name)
    if inspect.isclass(value) or inspect.isfunction(value):
        return f"{value.__module__}.{value.__qualname__}"
    places = [place for place in sorted(sys.modules) if place.startswith("nplight") and name in _assigned(place)]
    same = [place for place in places if getattr(sys.modules[place], name) is value]
    return f"{same[0]}.{name}"


@cache
def _assigned(place: str) -> frozenset[str]:
    """The names that a module assigns at its top, and does not import."""
    targets = [
        target
        for node in ast.parse(inspect.getsource(sys.modules[place])).body
        if isinstance(node, (ast.Assign, ast.AnnAssign))
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return frozenset(target.id for target in targets if isinstance(target, ast.Name))


def measures_page() -> str:
    """What is measured under each condition."""
    objectives = [measure for rows in OBJECTIVE_MEASURES.values() for measure in rows]
    return f"""# Measures

Written by `python -m benchmarks.reference_pages` from `nplight.metrics.MEASURES` and `OBJECTIVE_MEASURES`.

Each measure is the mean of a value per image under a condition, with a 95% interval (`_low`, `_high`), and its paired
difference to random neurons (`_vs_random`). Files hold fractions; tables and pages show the unit.

{_measures(MEASURES.values())}
Runs whose searches attribute another objective than the probability also have

{_measures(objectives)}
`joint_score`, the mean joint score of the image paths, is measured on the images that they were found with.

[Contributing](../../CONTRIBUTING.md) shows how to add a measure.
"""


def command_line_page() -> str:
    """The commands and their options."""
    rows = "\n".join(f"| `{name}` | {text} |" for name, text in COMMANDS.items())
    helps = "\n".join(f"## `{name}`\n\n```text\n{_help(name)}```\n" for name in _OF_THEIR_OWN)
    options = "\n".join(_option_row(name, option) for name, option in OPTIONS.items())
    return f"""# Command line

Written by `python -m benchmarks.reference_pages` from the options of the commands.

In a clone the program is `.uv/bin/uv run train.py`; where the package is installed it is `nplight`.
`nplight --version` tells the versions of nplight, torch, torchvision, Lightning, timm and torchmetrics.

| command | what it does |
|---|---|
{rows}

## Options of `validate`, `test`, `predict` and `fit`

| option | commands | what it does |
|---|---|---|
{options}

Any key of the configuration file is an option as well, such as `--trainer.accelerator gpu`:
[Configuration keys](configuration.md).

{helps}"""


def _measures(measures: Iterable[ConditionMeasure]) -> str:
    better = {1: "larger", -1: "smaller"}
    rows = [
        f"| `{row.name}` | {row.title} | {row.unit or '–'} | {better[row.sign]} | {row.description} |"
        for row in measures
    ]
    return "\n".join(["| column | title | unit | better | what |", "|---|---|---|---|---|", *rows, ""])


def _option_row(name: str, option: Option) -> str:
    flags = f"`{option.short}`, `--{name}`" if option.short else f"`--{name}`"
    value = f" `{option.metavar}`" if option.metavar else ""
    return f"| {flags}{value} | {', '.join(option.commands)} | {option.help} |"


def _help(command: str) -> str:
    """The help of a command with a parser of its own."""
    shown = io.StringIO()
    with (
        mock.patch.dict(os.environ, COLUMNS=_COLUMNS),
        contextlib.redirect_stdout(shown),
        contextlib.suppress(SystemExit),
    ):
        run([command, "--help"])
    return shown.getvalue()


def main() -> None:
    """Write the pages."""
    for name, content in pages().items():
        (FOLDER / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
