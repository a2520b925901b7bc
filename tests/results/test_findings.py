"""What a run found, as its files hold it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nplight.errors import ArgumentError
from nplight.metrics import MEASURES, Condition, measures_of
from nplight.report.comparison_text import findings_to_markdown, to_latex
from nplight.results import Findings, MeasuredPaths, controlled_tests, findings
from nplight.store import RunFolder
from tests.results.samples import drawn_control, drawn_metrics

STORED = Path(__file__).parent / "stored"


def drawn_findings(*objectives: str) -> Findings:
    return findings(
        MeasuredPaths(
            {"jas": drawn_metrics("jas", 1, objectives)}, {"random": {"jas": drawn_control("random", 2, objectives)}}
        ),
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


def test_objectives_add_measures_and_change_no_other() -> None:
    plain, found = drawn_findings(), drawn_findings("logit", "margin")
    assert list(plain.measures) == list(MEASURES)
    assert list(found.measures) == [*MEASURES, "logit", "logit_deviation", "margin", "margin_deviation"]
    for row, other in zip(plain.rows(), found.rows(), strict=True):
        assert row == {name: other[name] for name in row}
        added = {name for name in other if name not in row}
        assert added
        assert all(name.startswith(("logit", "margin")) for name in added)
    curves = {name: [curve.measure for curve in curves] for name, curves in found.normalised.items()}
    assert curves == dict.fromkeys(("jas", "random"), ["accuracy", "probability", "logit", "margin"] * 2)
    compared = {
        (row.compared.measure.name, row.compared.condition.name)
        for row in found.comparison.rows
        if row.compared.condition
    }
    assert {("logit", "kept"), ("logit_deviation", "removed"), ("logit_deviation", "enhanced")} <= compared
    assert {"logit_deviation", "margin_deviation"} <= set(found.categories[0])
    assert found.claims == plain.claims


def test_a_measure_that_the_run_lacks_is_refused() -> None:
    condition = Condition("removed", 1)
    found = drawn_findings("logit")
    lead = found.difference("jas", condition, "logit_deviation")
    assert lead is not None
    assert found.difference("jas", Condition("removed", 2), "logit") is None
    (test,) = controlled_tests(found, found.measures["logit_deviation"])[condition]
    assert test.difference == lead
    for refused in (
        lambda: found.difference("jas", condition, "margin"),
        lambda: controlled_tests(found, measures_of(["margin"])["margin"]),
    ):
        with pytest.raises(
            ArgumentError, match=r"`measure` must be one of 'accuracy', .* 'logit_deviation', got 'margin'"
        ):
            refused()
