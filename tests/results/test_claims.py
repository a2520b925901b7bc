from __future__ import annotations

from functools import partial

import pytest
import torch

from nplight.metrics import Condition, ConditionMetrics
from nplight.results import MethodResult, paper_claims
from tests.results.samples import CONDITIONS, IMAGES
from tests.results.samples import method as constant_method

method = partial(constant_method, noise=0.02)


def verdicts(*results: MethodResult) -> list[str]:
    return [claim.verdict for claim in paper_claims(results, top_k=1)]


def test_claims_hold_where_every_rival_is_behind_without_doubt() -> None:
    proposed, rival = method("jas", 2.0, 0.5, 0.95, 0), method("random", 1.0, 0.8, 0.85, 0)
    assert verdicts(proposed, rival) == ["held"] * 4
    assert verdicts(proposed, rival, method("activation", 3.0, 0.8, 0.85, 0)) == ["not held", "held", "held", "held"]


def test_claims_are_undecided_where_the_interval_holds_no_difference() -> None:
    proposed = method("jas", 1.001, 0.5, 0.95, 0, noise=0.05)
    rival = method("random", 1.0, 0.8, 0.85, 0, noise=0.05)
    assert verdicts(proposed, rival)[0] == "undecided"
    # Without variation there is no interval that could decide.
    equal = method("jas", 1.0, 0.5, 0.95, 0, noise=0)
    claims = paper_claims([equal, method("random", 1.0, 0.5, 0.95, 0, noise=0)], top_k=1)
    assert [claim.verdict for claim in claims[:3]] == ["undecided"] * 3
    assert claims[0].reason == "+0 [–] against random"


def test_each_protocol_has_its_own_verdict_and_the_rival_that_decides_it() -> None:
    proposed = method("jas", 2.0, 0.5, 0.95, 0, own=(0.5, 0.95))
    ahead = method("activation", 1.5, 0.8, 0.85, 0, own=(0.4, 0.97))
    farther = method("gradient_activation", 1.0, 0.7, 0.9, 0, own=(0.3, 0.98))
    claims = paper_claims([proposed, ahead, farther], top_k=1)
    assert [(claim.protocol, claim.verdict, claim.rival) for claim in claims] == [
        ("own", "held", "activation"),
        ("held-out", "held", "gradient_activation"),
        ("held-out", "held", "gradient_activation"),
        ("own", "not held", "gradient_activation"),
        ("own", "not held", "gradient_activation"),
        ("held-out", "held", None),
    ]
    assert claims[1].text == claims[3].text == "jas has the largest loss of probability when removed"
    assert claims[3].reason.endswith("against gradient_activation, ahead with 1 more")
    assert claims[1].reason.endswith("points against gradient_activation, the closest")
    assert "points" not in claims[0].reason


def test_a_rival_without_paths_of_its_own_is_compared_on_held_out_images_alone() -> None:
    proposed = method("jas", 2.0, 0.5, 0.95, 0, own=(0.5, 0.95))
    claims = paper_claims([proposed, method("random", 1.0, 0.8, 0.85, 0)], top_k=1)
    assert [claim.protocol for claim in claims] == ["own", "held-out", "held-out", "held-out"]


# No loss in 1,000 images allows 0.4 points, none in 200 allows 1.9.
@pytest.mark.parametrize(("lost", "verdict"), [(0, "held"), (8, "undecided"), (40, "not held")])
def test_pruning_keeps_accuracy_within_a_point(lost: int, verdict: str) -> None:
    assert verdicts(method("jas", 1.0, 0.5, 0.95, lost)) == [verdict]


def test_the_reason_of_a_kept_path_says_what_its_floors_keep() -> None:
    conditions = (*CONDITIONS, Condition("none"))
    metrics = ConditionMetrics(conditions, 2, replicates=300)
    labels = torch.zeros(IMAGES, dtype=torch.int64)
    right, wrong = torch.tensor([[0.9, 0.1]]).expand(IMAGES, 2), torch.tensor([[0.9, 0.1]]).repeat(IMAGES, 1)
    wrong[:20] = torch.tensor([0.1, 0.9])
    metrics.update([right, right, right, right, wrong], labels, torch.arange(IMAGES))
    claims = paper_claims([MethodResult("jas", None, metrics), method("random", 1.0, 0.8, 0.85, 40)], top_k=1)
    value, none, control = claims[-1].reason.split("; ")
    assert value.startswith("+0.00 [-0.38, ")
    assert none.startswith("with no neuron kept -2.00 [")
    assert control.startswith("with random neurons kept -4.00 [")


def test_a_variant_is_no_rival() -> None:
    proposed = method("jas", 1.0, 0.5, 0.95, 0)
    assert verdicts(proposed, method("random", 0.5, 0.8, 0.85, 0), method("finer", 2.0, 0.1, 1.0, 0)) == ["held"] * 4
    assert verdicts(proposed, method("finer", 2.0, 0.1, 1.0, 0)) == ["held"]


def test_without_jas_there_is_nothing_to_claim() -> None:
    assert paper_claims([method("random", 1.0, 0.5, 0.95, 0)], top_k=1) == []
