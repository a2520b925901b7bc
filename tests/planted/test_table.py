"""The truth of every case is true, by intervention."""

from __future__ import annotations

import pytest
import torch

from nplight import intervene
from nplight.planted import DECOYS, PLANTED, STRUCTURES, PlantedCase, build_planted
from nplight.planted.case import ALL_DECOYS
from tests.planted.edits import accuracy, clean_logits

# The norm of a token changes by about a thousandth when a signal does.
_TOLERANCE = {"identity": 1e-9, "layer_norm": 2e-3}


@pytest.mark.parametrize("name", PLANTED)
def test_the_truth_of_every_case_is_true(name: str) -> None:
    """Kept alone, the path keeps the decision; removed, it takes it; decoys removed change nothing."""
    case = PLANTED[name]
    planted = build_planted(case, dtype=torch.float64)
    close = {"atol": _TOLERANCE[case.norm], "rtol": 0}
    clean = clean_logits(planted)
    assert accuracy(planted, clean) == 1
    with intervene(planted.model, planted.paths, "keep"):
        kept = clean_logits(planted)
    torch.testing.assert_close(kept.softmax(1), clean.softmax(1), **close)
    with intervene(planted.model, planted.paths, "remove"):
        assert accuracy(planted, clean_logits(planted)) == 0
    if case.decoys:
        with intervene(planted.model, planted.decoys, "remove"):
            torch.testing.assert_close(clean_logits(planted).softmax(1), clean.softmax(1), **close)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_the_truth_is_true_for_other_seeds_and_in_float32(structure: str, seed: int) -> None:
    planted = build_planted(PLANTED[f"{structure}-all"], seed=seed)
    clean = clean_logits(planted)
    assert accuracy(planted, clean) == 1
    with intervene(planted.model, planted.paths, "keep"):
        torch.testing.assert_close(clean_logits(planted).softmax(1), clean.softmax(1), atol=1e-3, rtol=0)
    with intervene(planted.model, planted.paths, "remove"):
        assert accuracy(planted, clean_logits(planted)) == 0


def test_a_loud_neuron_before_a_layer_norm_is_not_inert_and_left_out() -> None:
    case = PlantedCase(structure="chain", decoys=("loud",))
    object.__setattr__(case, "norm", "layer_norm")  # which the case itself refuses
    planted = build_planted(case, dtype=torch.float64)
    clean = clean_logits(planted).softmax(1)
    with intervene(planted.model, planted.decoys, "remove"):
        assert (clean_logits(planted).softmax(1) - clean).abs().max() > 0.05
    assert not any("loud" in case.decoys and case.norm == "layer_norm" for case in PLANTED.values())


def test_every_axis_is_in_the_table() -> None:
    cases = list(PLANTED.values())
    for structure in STRUCTURES:
        of_structure = [case for case in cases if case.structure == structure]
        assert {case.decoys for case in of_structure} >= {(), ALL_DECOYS, *((decoy,) for decoy in DECOYS)}
        assert {case.probability for case in of_structure} == {0.7, 0.98, 1 - 1e-9}
        assert {case.norm for case in of_structure} == {"identity", "layer_norm"}
        assert {case.head for case in of_structure} == {"token", "avg"}
        assert {case.ffn for case in of_structure} == {"plain", "gated"}
        assert {case.depth for case in of_structure} == {4, 12}
        assert 3 in {case.top_k for case in of_structure}
    assert all(name == case.name for name, case in PLANTED.items())
