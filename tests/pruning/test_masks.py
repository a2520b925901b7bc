from __future__ import annotations

import copy

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from timm.utils import ModelEmaV3
from torch import Tensor
from torch.nn.functional import cross_entropy

from nplight import intervene, open_vit, search
from nplight.errors import ArgumentError
from nplight.pruning import NeuronMasks
from tests.conftest import make_vit
from tests.vit.families import Case
from tests.vit.test_families import SUPPORTED, build, name


def some_kept(widths: tuple[int, ...], seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(width, generator=generator) < 0.5 for width in widths]


@pytest.mark.parametrize("case", SUPPORTED, ids=name)
def test_a_mask_is_a_removal_at_all_tokens_on_every_family(case: Case, images: Tensor) -> None:
    model = build(case)
    vit = open_vit(model)
    kept = some_kept(vit.widths)
    count = min(int(mask.sum()) for mask in kept)
    path = torch.stack([mask.nonzero()[:count, 0] for mask in kept])
    kept = [torch.zeros_like(mask).index_fill(0, layer, True) for mask, layer in zip(kept, path)]
    with torch.no_grad(), intervene(model, path, "keep", tokens="all"):
        expected = vit.forward(images[:2])
    masks = NeuronMasks(vit)
    masks.set(kept)
    with torch.no_grad():
        torch.testing.assert_close(vit.forward(images[:2]), expected, rtol=1e-9, atol=1e-9)
        masks.remove()
        torch.testing.assert_close(open_vit(model).forward(images[:2]), expected, rtol=1e-9, atol=1e-9)


def test_open_masks_change_no_bit_of_the_model_its_parameters_and_their_gradients(
    images: Tensor, targets: Tensor
) -> None:
    plain, masked = make_vit(), make_vit()
    before = list(masked.parameters())
    NeuronMasks(open_vit(masked))
    assert [id(parameter) for parameter in masked.parameters()] == [id(parameter) for parameter in before]
    for model in (plain, masked):
        cross_entropy(model(images), targets).backward()
    assert all(torch.equal(one.grad, two.grad) for one, two in zip(plain.parameters(), before))  # type: ignore[arg-type]
    assert torch.equal(plain(images), masked(images))


@pytest.mark.parametrize("straight_through", [False, True])
def test_gradients_of_pruned_columns(
    vit: VisionTransformer, images: Tensor, targets: Tensor, straight_through: bool
) -> None:
    linear = vit.blocks[1].mlp.fc2
    masks = NeuronMasks(open_vit(vit), straight_through=straight_through)
    kept = masks.kept
    kept[1][:10] = False
    masks.set(kept)
    cross_entropy(vit(images), targets).backward()
    gradient = linear.parametrizations.weight.original.grad
    assert (gradient[:, 10:] != 0).any(0).all()
    assert (gradient[:, :10] != 0).any().item() is straight_through
    assert not linear.weight[:, :10].any()
    rows = vit.blocks[1].mlp.fc1.weight.grad
    assert not rows[:10].any()


def test_masks_are_part_of_the_state_and_of_copies(vit: VisionTransformer, images: Tensor) -> None:
    masks = NeuronMasks(open_vit(vit))
    masks.set(some_kept(masks.vit.widths))
    twin = make_vit()
    others = NeuronMasks(open_vit(twin))
    twin.load_state_dict(vit.state_dict())
    assert all(torch.equal(one, two) for one, two in zip(masks.kept, others.kept))
    assert torch.equal(twin(images), vit(images))
    copied = copy.deepcopy(vit)
    assert torch.equal(copied(images), vit(images))
    masks.set([torch.ones_like(mask) for mask in masks.kept])
    assert not torch.equal(copied(images), vit(images))
    assert masks.copy_to(copied)
    assert torch.equal(copied(images), vit(images))
    assert not masks.copy_to(make_vit())


def test_an_average_of_the_weights_has_the_masks_of_the_model(vit: VisionTransformer) -> None:
    masks = NeuronMasks(open_vit(vit))
    average = ModelEmaV3(vit, decay=0.9)
    masks.set(some_kept(masks.vit.widths))
    with torch.no_grad():
        for parameter in vit.parameters():
            parameter.add_(1.0)
    average.update(vit)
    weight = average.module.blocks[0].mlp.fc2.weight
    assert torch.equal((weight != 0).any(0), masks.kept[0])
    originals = [model.blocks[0].mlp.fc2.parametrizations.weight.original for model in (average.module, vit)]
    torch.testing.assert_close(originals[0], originals[1] - 0.9)


def test_a_masked_model_is_searched(vit: VisionTransformer, images: Tensor, targets: Tensor) -> None:
    masks = NeuronMasks(open_vit(vit))
    masks.set(some_kept(masks.vit.widths))
    masked = search(vit, images, targets, tokens="all", top_k=3, method="joint_integrated_gradients", steps=3)
    for layer, kept in enumerate(masks.kept):
        assert kept[masked.neurons[:, layer].flatten()].all()
    with masks.open():
        dense = search(vit, images, targets, tokens="all", top_k=3, method="joint_integrated_gradients", steps=3)
    again = search(make_vit(), images, targets, tokens="all", top_k=3, method="joint_integrated_gradients", steps=3)
    assert torch.equal(dense.neurons, again.neurons)


def test_a_model_with_masks_is_given_no_second_ones(vit: VisionTransformer) -> None:
    masks = NeuronMasks(open_vit(vit))
    with pytest.raises(ArgumentError, match=r"no parametrization of its down projections, .* layers 0, 1, 2 have one"):
        NeuronMasks(open_vit(vit))
    state = {"blocks.0.mlp.fc2.parametrizations.weight.0._extra_state": torch.ones(3, dtype=torch.bool)}
    with pytest.raises(ArgumentError, match=r"the mask of a layer must be \(64,\), one entry a neuron, got \(3,\)"):
        vit.load_state_dict(state, strict=False)
    masks.remove()
    NeuronMasks(open_vit(vit)).remove()
