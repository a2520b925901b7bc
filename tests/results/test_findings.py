"""What a run found, as its files hold it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nplight.report.comparison_text import findings_to_markdown, to_latex
from nplight.results import Findings, MeasuredPaths, findings
from nplight.store import RunFolder
from tests.results.samples import drawn_control, drawn_metrics

STORED = Path(__file__).parent / "stored"


def drawn_findings() -> Findings:
    return findings(
        MeasuredPaths({"jas": drawn_metrics("jas", 1)}, {"random": {"jas": drawn_control("random", 2)}}),
        None,
        top_k=1,
        widths=[64, 64],
        num_classes=5,
        replicates=20,
        notes=["a note"],
    )


@pytest.mark.parametrize("name", ["metrics.json", "metrics.csv", "comparison.md", "comparison.tex"])
def test_files_hold_what_they_held(tmp_path: Path, name: str) -> None:
    found, folder = drawn_findings(), RunFolder(tmp_path)
    folder.write_metrics(found.rows(), found.to_dict())
    folder.write("comparison.md", findings_to_markdown(found))
    folder.write("comparison.tex", to_latex(found.comparison))
    assert (tmp_path / name).read_text() == (STORED / name).read_text()
