from __future__ import annotations

import pytest
import torch

from nplight.planted import PLANTED
from nplight.planted.layer_plan import WIDTH, layer_plans


@pytest.mark.parametrize("name", ["chain-all", "redundancy-all", "parallel"])
def test_planted_neurons_decoys_and_the_rest_fill_a_layer_once(name: str) -> None:
    case = PLANTED[name]
    plans = layer_plans(case, torch.Generator().manual_seed(0))
    assert len(plans) == case.depth
    for plan in plans:
        assert len(plan.neurons) == WIDTH
        assert plan.truth.shape[1] == case.top_k
        special = torch.cat([plan.truth.flatten(), plan.decoys])
        assert len(special.unique()) == len(special)
        assert bool(len(plan.decoys)) == bool(case.decoys)
    other = layer_plans(case, torch.Generator().manual_seed(1))
    assert not torch.equal(plans[0].truth, other[0].truth)
