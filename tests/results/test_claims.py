from __future__ import annotations

import pytest

from nplight.results import MethodResult, paper_claims
from tests.results.samples import method


def verdicts(*results: MethodResult) -> list[str]:
    return [claim.verdict for claim in paper_claims(results, top_k=1)]


def test_claims_hold_where_every_rival_is_behind_without_doubt() -> None:
    own, rival = method("jas", 2.0, 0.5, 0.95, 0), method("random", 1.0, 0.8, 0.85, 0)
    assert verdicts(own, rival) == ["held"] * 4
    assert verdicts(own, rival, method("activation", 3.0, 0.8, 0.85, 0)) == ["not held", "held", "held", "held"]


def test_claims_are_undecided_where_the_interval_holds_no_difference() -> None:
    own, rival = method("jas", 1.001, 0.5, 0.95, 0, noise=0.05), method("random", 1.0, 0.8, 0.85, 0, noise=0.05)
    assert verdicts(own, rival)[0] == "undecided"
    equal = method("jas", 1.0, 0.5, 0.95, 0)
    assert verdicts(equal, method("random", 1.0, 0.5, 0.95, 0))[:3] == ["undecided"] * 3


@pytest.mark.parametrize(("lost", "verdict"), [(0, "held"), (2, "undecided"), (40, "not held")])
def test_pruning_keeps_accuracy_within_a_point(lost: int, verdict: str) -> None:
    assert verdicts(method("jas", 1.0, 0.5, 0.95, lost)) == [verdict]


def test_a_variant_is_no_rival() -> None:
    own = method("jas", 1.0, 0.5, 0.95, 0)
    assert verdicts(own, method("random", 0.5, 0.8, 0.85, 0), method("finer", 2.0, 0.1, 1.0, 0)) == ["held"] * 4
    assert verdicts(own, method("finer", 2.0, 0.1, 1.0, 0)) == ["held"]


def test_without_jas_there_is_nothing_to_claim() -> None:
    assert paper_claims([method("random", 1.0, 0.5, 0.95, 0)], top_k=1) == []
