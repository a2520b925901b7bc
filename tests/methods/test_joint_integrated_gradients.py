"""Joint integrated gradients on models of known paths; `tests/methods/definitions.py` holds what they are."""

from __future__ import annotations

import pytest

from nplight.planted import PLANTED, judge

CHAINS_AND_PARALLEL = {
    name: case
    for name, case in PLANTED.items()
    if case.structure in ("chain", "parallel") and case.depth == 4 and case.top_k == 1 and len(case.decoys) != 1
}


@pytest.mark.parametrize("method", ["joint_integrated_gradients", "joint_integrated_gradients_held"])
@pytest.mark.parametrize(("objective", "most"), [("probability", 0.98), ("logit", 1.0), ("margin", 1.0)])
def test_chains_and_parallel_paths_are_found_beside_every_decoy(method: str, objective: str, most: float) -> None:
    cases = [name for name, case in CHAINS_AND_PARALLEL.items() if case.probability <= most]
    saturated = [name for name in cases if CHAINS_AND_PARALLEL[name].probability > 0.98]
    assert bool(saturated) == (objective != "probability")
    for judgement in judge(method, cases, objective=objective, replicates=0):
        assert judgement.recall.value >= 0.99, judgement.case


def test_the_papers_score_is_drawn_to_decoys() -> None:
    for judgement in judge("jas", ["chain-all", "parallel-all"], replicates=0):
        assert judgement.recall.value < 0.6, judgement.case
