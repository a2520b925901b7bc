from __future__ import annotations

import pytest

from nplight.metrics import Condition
from nplight.metrics.conditions import ConditionName
from tests.results.test_findings import drawn_findings


def test_they_are_what_the_label_loses_when_the_path_is_removed_and_when_it_alone_is_kept() -> None:
    found = drawn_findings()
    values = {(result.method, result.key): result.value("probability") for result in found.results}
    clean = values["", Condition("clean")]
    conditions: dict[str, tuple[ConditionName, float | None]] = {
        "comprehensiveness": ("removed", None), "sufficiency": ("kept", 1.0)
    }  # fmt: skip
    assert {(one.name, one.tokens) for one in found.rationales if one.method == "jas"} == {
        (name, tokens) for name in conditions for tokens in ("path", "all")
    }
    for one in found.rationales:
        name, pruned = conditions[one.name]
        condition = Condition(name, one.kept, pruned, one.tokens)
        assert one.value.value == pytest.approx(clean - values[one.method, condition], abs=1e-6)
        if one.method == "jas":
            control = clean - values["random", condition]
            assert one.over_control["random"].value == pytest.approx(one.value.value - control, abs=1e-6)
        else:
            assert one.over_control == {}
