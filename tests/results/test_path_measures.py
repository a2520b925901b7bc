from __future__ import annotations

import math
from dataclasses import replace
from io import StringIO
from pathlib import Path

from rich.console import Console

from nplight.metrics import Estimate
from nplight.report.comparison_text import paths_to_markdown
from nplight.report.terminal_tables import findings_tables
from nplight.results import PATH_MEASURES
from tests.results.test_findings import drawn_findings


def test_the_measures_of_paths_are_those_of_the_findings() -> None:
    findings = drawn_findings()
    values = {measure.name: measure.estimate_of(findings, "jas") for measure in PATH_MEASURES}
    assert values["area"] == findings.curves["jas"].area
    assert values["ahead_of_random"] == findings.leads["jas"]
    # Neither image paths nor a lead of the control over itself.
    assert [values[name] for name in ("agreement", "within", "between")] == [None] * 3
    assert PATH_MEASURES[1].estimate_of(findings, "random") is None
    undefined = Estimate(math.nan, math.nan, math.nan, 0)
    assert PATH_MEASURES[1].estimate_of(replace(findings, leads={"jas": undefined}), "jas") is None


def test_every_measure_of_paths_is_in_markdown_and_on_the_terminal() -> None:
    findings = drawn_findings()
    markdown = paths_to_markdown(findings)
    console = Console(file=StringIO(), width=80)
    for part in findings_tables(findings, Path("runs/x"), verbose=True):
        console.print(part)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for measure in PATH_MEASURES:
        assert f" {measure.title} |" in markdown
        assert measure.column in shown
        value = measure.estimate_of(findings, "jas")
        if value is not None:
            assert measure.text(value.value) in markdown
            assert measure.text(value.value) in shown
