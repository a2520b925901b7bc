from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import open_vit, shrink
from nplight.errors import ArgumentError
from nplight.pruning import NeuralBurden, NeuronMasks, burden
from nplight.shrinking.neuron_load import neuron_loads
from tests.conftest import make_vit
from tests.vit.families import Case
from tests.vit.test_families import SUPPORTED, build, name


def measured(model: Any, twin: Any, images: Tensor, **options: Any) -> Any:
    metric = NeuralBurden(model, twin, **options)
    metric.update(images[:2])
    metric.update(images[2:])
    return metric.compute()


def pruned(model: VisionTransformer, count: int = 40) -> list[Tensor]:
    masks = NeuronMasks(open_vit(model))
    kept = [torch.arange(64) % 64 >= count for _ in range(3)]
    masks.set(kept)
    return kept


@pytest.mark.parametrize("case", SUPPORTED, ids=name)
def test_without_pruning_the_burden_is_0_on_every_family(case: Case, images: Tensor) -> None:
    model = build(case)
    result = measured(model, copy.deepcopy(model), images)
    assert result.mean == 0
    assert not result.by_layer.any()


def test_it_is_what_surviving_neurons_write_beyond_their_twins(images: Tensor) -> None:
    model, twin = make_vit(), make_vit()
    kept = pruned(model)
    with torch.no_grad():
        for block in model.blocks:
            block.mlp.fc2.parametrizations.weight.original *= 1.5
    for layer in (1, 2):
        model.blocks[layer] = make_vit().blocks[layer]  # layer 0 alone is pruned, and writes half as much again
    result = measured(model, twin, images, kept=[kept[0], *[torch.ones(64, dtype=torch.bool)] * 2])
    assert result.by_layer[0] == pytest.approx(0.5)
    loads, dense = (neuron_loads(one, [images]) for one in (model, twin))
    ratios = torch.cat(
        [load[mask] / before[mask] - 1 for load, before, mask in zip(loads, dense, [kept[0], slice(None), slice(None)])]
    )
    assert result.mean == pytest.approx(ratios.mean().item())


def test_masks_zeros_smaller_models_and_loads_of_the_twin_give_the_same(images: Tensor) -> None:
    model, twin = make_vit(), make_vit()
    kept = pruned(model)
    under_masks = measured(model, twin, images)
    given = measured(model, neuron_loads(twin, [images]), images, kept=kept)
    small = measured(shrink(twin, kept), twin, images, kept=kept)
    for other in (given, small):
        assert other.mean == pytest.approx(under_masks.mean, rel=1e-9)
        torch.testing.assert_close(other.by_layer, under_masks.by_layer)
    assert under_masks.mean != 0


def test_neurons_that_the_twin_does_not_use_do_not_count() -> None:
    result = burden([torch.tensor([2.0, 3.0])], [torch.tensor([0.0, 2.0])], [torch.ones(2, dtype=torch.bool)])
    assert result.mean == 0.5
    nothing = burden([torch.tensor([2.0])], [torch.tensor([0.0])], [torch.ones(1, dtype=torch.bool)])
    assert torch.isnan(torch.tensor(nothing.mean))


@pytest.mark.parametrize(
    ("twin", "options", "message"),
    [
        (lambda: None, {}, "`twin` must be the dense model .* or its loads; got None"),
        (lambda: make_vit(depth=2), {}, "`twin` must have the 3 layers of the model, got 2"),
        (lambda: make_vit(mlp_ratio=2), {}, "`twin` must have the widths of the model, .* give `kept`"),
        (lambda: 3, {}, "`twin` must be a model, or per layer a tensor of loads"),
        (make_vit, {"kept": [torch.ones(64)] * 3}, "`kept` must be one bool tensor"),
        (make_vit, {"kept": [torch.ones(64, dtype=torch.bool)]}, "`kept` must be one bool tensor"),
    ],
)
def test_a_burden_without_its_twin_is_refused(
    vit: VisionTransformer, twin: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        NeuralBurden(vit, twin(), **options)
    with pytest.raises(ArgumentError, match="at least one image, got none"), pytest.warns(UserWarning, match="before"):
        NeuralBurden(vit, make_vit()).compute()
