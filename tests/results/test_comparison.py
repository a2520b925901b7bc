from __future__ import annotations

from nplight.results import MethodResult, compare
from tests.results.samples import method


def test_the_best_of_each_measure_is_told_by_its_direction() -> None:
    comparison = compare([method("jas", 2.0, 0.6, 0.9, 0), method("random", 1.0, 0.8, 0.85, 10)])
    best = {row.compared.label: row.best for row in comparison.rows}
    assert best == {
        "joint score (JAS)": [True, False],
        "removed: Δ probability, %": [True, False],  # the larger loss
        "enhanced: Δ probability, %": [True, False],
        "removed: Δ top-1, points": [False, False],  # alike
        "enhanced: Δ top-1, points": [False, False],
        "1 kept, 100% pruned: top-1, %": [True, False],
    }
    texts = [row.texts for row in comparison.rows]
    assert texts[:3] == [["+2", "+1"], ["-25.00", "+0.00"], ["+12.50", "+6.25"]]
    assert texts[5] == ["100.0", "99.0"]


def test_equal_values_as_written_are_best_alike_and_a_missing_one_never_is() -> None:
    comparison = compare([method("jas", 1.00001, 0.6, 0.9, 0), method("random", 1.0, 0.6, 0.9, 0)])
    assert comparison.rows[0].best == [False, False]
    third = method("activation", 0.5, 0.6, 0.9, 0)
    equal = compare([method("jas", 1.00001, 0.6, 0.9, 0), method("random", 1.0, 0.6, 0.9, 0), third])
    assert equal.rows[0].best == [True, True, False]
    without = MethodResult("jas", None, method("jas", 1.0, 0.6, 0.9, 0).metrics)
    assert compare([without, method("random", 1.0, 0.6, 0.9, 0)]).rows[0].best == [False, True]
    assert compare([without]).rows[0].best == [False]
    assert compare([without]).rows[0].texts == ["–"]
