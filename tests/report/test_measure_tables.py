from __future__ import annotations

from nplight.metrics import MEASURES, whole_conditions
from nplight.report.measure_tables import claims_table, measure_tables
from nplight.results import Findings, MeasuredPaths, findings
from tests.report.controlled_findings import controlled_findings
from tests.report.test_terminal_tables import shown
from tests.results.samples import drawn_metrics
from tests.results.test_findings import drawn_findings


def single() -> Findings:
    return findings(
        MeasuredPaths({"jas": drawn_metrics("jas", 1)}), None, top_k=1, widths=[64], num_classes=5, replicates=20
    )


def test_the_tables_of_one_search_have_every_measure_of_every_condition_at_the_main_tokens() -> None:
    found = single()
    text = shown(*measure_tables(found))
    whole = whole_conditions([result.key for result in found.results])
    for result in (result for result in found.results if result.key in whole and result.scale is None):
        cells = [measure.text(result.value(measure.name)) for measure in MEASURES.values() if not measure.change]
        assert any(all(cell in line for cell in cells) for line in text.splitlines()), result


def test_a_search_beside_a_control_has_its_own_tables_and_the_comparison() -> None:
    text = shown(*measure_tables(controlled_findings(("jas",))))
    assert "Others pruned, the category path kept (143 held-out images)" in text
    assert "The paths themselves" in text
    assert "Others pruned" not in shown(*measure_tables(controlled_findings()))


def test_several_searches_are_side_by_side_with_claims() -> None:
    found = drawn_findings()
    text = shown(*measure_tables(found))
    assert "Methods compared (40 held-out images)" in text
    for method in found.comparison.methods:
        assert f"{method} " in text
    for claim in found.claims:
        assert claim.verdict in text
        assert claim.verdict in shown(claims_table(found.claims))
        assert f" {claim.protocol} " in shown(claims_table(found.claims))


def test_no_line_is_wider_than_a_terminal() -> None:
    for found in (single(), drawn_findings()):
        assert max(map(len, shown(*measure_tables(found)).splitlines())) <= 80
