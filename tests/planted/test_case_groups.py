"""Groups of cases."""

from __future__ import annotations

from nplight.planted import MODELS, PLANTED, STRUCTURES
from nplight.planted.case_groups import CASE_TABLES


def test_every_model_is_in_one_group() -> None:
    names = [name for groups in CASE_TABLES for cases in groups.columns.values() for name in cases]
    assert sorted(names) == sorted(MODELS)


def test_simple_cases_are_grouped_by_structure_and_decoys_and_none_is_saturated() -> None:
    for groups in CASE_TABLES[:3]:
        assert list(groups.columns) == list(STRUCTURES)
        for structure, names in groups.columns.items():
            assert names
            assert all(PLANTED[name].structure == structure for name in names)
            assert all(PLANTED[name].probability <= 0.98 for name in names)
    assert CASE_TABLES[2].columns["chain"] == ("chain-all", "chain-all-p0.98")
    assert "chain-saturated" in CASE_TABLES[3].columns["saturated"]
