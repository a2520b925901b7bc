from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import intervene, open_vit, references
from nplight.errors import ArgumentError
from nplight.neurons import Gathering, References, gathering
from nplight.neurons.gathering import NeuronGathering, refuse_none
from tests.neurons.test_references import FILLS, values_of


@pytest.mark.parametrize("fill", FILLS)
def test_references_gathered_under_inference_mode_work_with_gradients(
    vit: VisionTransformer, many: Tensor, images: Tensor, neurons: Tensor, fill: str
) -> None:
    with torch.inference_mode():
        step: Gathering | References = gathering(vit, fill)
        assert isinstance(step, Gathering)
        step.update(many[:9].clone())
    step.update(many[9:])
    while isinstance(step, Gathering):
        with torch.inference_mode():
            following = step.finish()
        if isinstance(following, Gathering):
            following.update(many)
        step = following
    expected = values_of(references(vit, [many], fill), images)
    with torch.inference_mode():
        values = step.of(images)
        torch.testing.assert_close(values_of(step, images), expected, rtol=1e-12, atol=1e-14)
    asked = images.clone().requires_grad_()
    with intervene(vit, neurons, "keep", fill=fill, references=values):
        vit(asked).sum().backward()
    assert asked.grad is not None
    assert asked.grad.any()


@pytest.mark.parametrize("fill", ["mean", "peak"])
def test_neurons_that_are_not_finite_are_refused_after_one_pass(
    vit: VisionTransformer, many: Tensor, fill: str
) -> None:
    with torch.no_grad():
        vit.blocks[1].mlp.fc1.bias[7] = torch.inf
    step = gathering(vit, fill)
    step.update(many)
    with pytest.raises(ArgumentError, match="NaN or infinite neurons in layers 1, 2"):
        step.finish()


class Count(NeuronGathering):
    """Counts the values of each neuron."""

    def __init__(self, model: VisionTransformer, **options: object) -> None:
        super().__init__(open_vit(model), **options)  # type: ignore[arg-type]
        self.counts = self.for_all(0, torch.int64)

    def add(self, positions: slice, values: Tensor) -> None:
        self.counts[positions] += values.shape[0] * values.shape[1]

    def finish(self) -> References:
        raise NotImplementedError


def test_every_layer_is_added_at_its_own_positions(vit: VisionTransformer, many: Tensor) -> None:
    path, every = Count(vit), Count(vit, tokens="all")
    for batch in many.split(9):
        path.update(batch)
        every.update(batch)
    assert path.counts.tolist() == [23] * 192
    assert every.counts.tolist() == [23 * 5] * 192
    layers = path.by_layer(torch.arange(192.0))
    assert {layer: values.flatten().tolist() for layer, values in layers.items()} == {
        layer: list(range(64 * layer, 64 * layer + 64)) for layer in range(3)
    }


def test_nothing_to_gather_from_is_refused() -> None:
    with pytest.raises(ArgumentError, match="`batches` must hold at least one image, got none"):
        refuse_none()
