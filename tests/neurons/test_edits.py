from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import intervene, open_vit, record
from nplight.errors import ArgumentError
from nplight.neurons import edited, path_masks, replacing, scaling
from tests.neurons.test_intervene import hooks_of


def test_references_of_other_images_or_tokens_are_refused(
    vit: VisionTransformer, images: Tensor, neurons: Tensor
) -> None:
    for shape in ((3, 1, 64), (1, 2, 64)):
        values = {layer: torch.zeros(shape) for layer in range(3)}
        message = f"layer 0 are for {shape[0]} images of {shape[1]} tokens, but the batch has 4 of 1"
        with (
            pytest.raises(ArgumentError, match=message),
            intervene(vit, neurons, "keep", fill="mean", references=values),
        ):
            vit(images)
    assert hooks_of(vit) == 0


def test_a_batch_of_another_size_is_refused(vit: VisionTransformer, images: Tensor, neurons: Tensor) -> None:
    with pytest.raises(ArgumentError, match="paths of 4 images, but the batch has 3"), intervene(vit, neurons, "keep"):
        vit(images[:3])
    with (
        pytest.raises(ArgumentError, match="paths of 1 images, but the batch has 4"),
        intervene(vit, neurons[:1], "keep"),
    ):
        vit(images)
    assert hooks_of(vit) == 0


def test_an_infinite_neuron_that_is_removed_is_gone(vit: VisionTransformer, images: Tensor) -> None:
    broken = vit.blocks[0].mlp.fc1
    with torch.no_grad():
        broken.bias[7] = torch.inf
    with torch.no_grad(), intervene(vit, torch.tensor([[7], [0], [0]]), "remove"), record(vit) as values:
        vit(images)
    assert values[0][:, 0].isfinite().all()


def test_edits_change_the_masked_neurons_alone(neurons: Tensor) -> None:
    masks, values = path_masks(neurons, [64] * 3), torch.randn(4, 5, 64, dtype=torch.float64)
    masked = masks[1].unsqueeze(1).expand_as(values)
    doubled = scaling(masks, 2.0)(1, values)
    assert torch.equal(doubled[masked], 2 * values[masked])
    assert torch.equal(doubled[~masked], values[~masked])
    filled = replacing(masks, {1: torch.full((1, 1, 64), 7.0)})(1, values)
    assert (filled[masked] == 7).all()
    assert torch.equal(filled[~masked], values[~masked])


def test_a_shared_mask_serves_any_number_of_images() -> None:
    (mask,) = path_masks(torch.tensor([[[3]]]), [8])
    for images in (1, 5):
        assert scaling([mask], 0.0, shared=True)(0, torch.ones(images, 2, 8)).sum() == images * 2 * 7


def test_an_edit_is_told_its_layer(vit: VisionTransformer, images: Tensor) -> None:
    layers = []
    with torch.no_grad(), edited(open_vit(vit), lambda layer, values: (layers.append(layer), values)[1]):
        vit(images)
    assert layers == [0, 1, 2]
