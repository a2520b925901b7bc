"""Torch-Pruning, which traces a model's graph to find what belongs to a neuron, as the oracle of `shrink`.

It slices a norm over neurons, whose mean and variance change with the neurons that are left, so that its model is
another than the one with a mask; and it miscounts where gate and value are packed into one layer. There `shrink` is
tested against the mask alone.
"""

from __future__ import annotations

import pytest
import torch
import torch_pruning
from torch import Tensor

from nplight import open_vit, shrink
from tests.shrinking.test_shrink import OPENED, logits_of, some_neurons
from tests.vit.families import Case

PLAIN = [case for case in OPENED if "norm" not in case.neurons and case.variant not in ("`GluMlp`", "`SwiGLUPacked`")]


@pytest.mark.filterwarnings("ignore:Unwrapped parameters detected:UserWarning")
@pytest.mark.parametrize("case", PLAIN, ids=lambda case: f"{case.family} {case.variant}")
def test_every_bit_is_torch_prunings(case: Case, images: Tensor) -> None:
    model = case.build()
    kept = some_neurons(model)
    small = shrink(model, kept)
    graph = torch_pruning.DependencyGraph().build_dependency(model, images[:1])
    for down, chosen in zip(open_vit(model).down, kept):
        removed = sorted(set(range(down.width)) - set(chosen.tolist()))
        graph.get_pruning_group(down.linear, torch_pruning.prune_linear_in_channels, idxs=removed).prune()
    for (name, weight), (other, value) in zip(model.state_dict().items(), small.state_dict().items()):
        assert name == other
        assert torch.equal(weight, value), name
    assert torch.equal(logits_of(model, images), logits_of(small, images))
