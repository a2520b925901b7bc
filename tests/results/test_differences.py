from __future__ import annotations

import pytest

from nplight.metrics import MEASURES, Condition
from tests.results.samples import TESTED
from tests.results.test_findings import drawn_findings


def test_every_condition_with_a_path_is_compared_with_its_control() -> None:
    found = drawn_findings()
    compared = [(one.method, one.control, one.condition) for one in found.differences]
    assert compared == [("jas", "random", condition) for condition in TESTED if condition.kept is not None]
    values = {(result.method, result.key): result for result in found.results}
    for one in found.differences:
        for name in MEASURES:
            search, control = (values[method, one.condition].value(name) for method in ("jas", "random"))
            assert one.values[name].value == pytest.approx(search - control, abs=1e-6)
    kept = Condition("kept", 4, 1.0)
    lead = found.difference("jas", kept, "probability")
    assert lead is not None
    assert lead.low < lead.value < lead.high
    assert found.difference("jas", kept, "probability", control="other-category") is None


def test_rows_carry_their_differences() -> None:
    rows = drawn_findings().rows()
    with_differences = [row for row in rows if "probability_vs_random_low" in row]
    assert {row["method"] for row in with_differences} == {"jas"}
    assert len(with_differences) == sum(condition.kept is not None for condition in TESTED)
