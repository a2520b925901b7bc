"""The removal of one neuron alone equals the oracle, image by image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from typing import Any

import pytest
import torch
from torch import Tensor

from nplight import intervene, open_vit
from nplight.data import ImageBatch
from nplight.errors import ArgumentError
from nplight.metrics.edited_forward import EditedForward
from nplight.results import removed_alone
from nplight.results.removed_alone import random_neurons, removal
from nplight.vit import OpenViT, undisturbed
from tests.conftest import read_reference

USERS = {1: [(0, 3), (2, 5), (2, 7)], 4: [(2, 5)], 99: [(1, 1)]}


@pytest.fixture(scope="module", params=["patch_mean", "class_token"])
def vit(request: pytest.FixtureRequest) -> OpenViT:
    return open_vit(read_reference(request.param).model)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return read_reference("patch_mean").images[:24]


LABELS = torch.tensor([1, 4, 7] * 8)


def batches(images: Tensor, size: int = 24) -> Iterator[ImageBatch]:
    for index in torch.arange(len(images)).split(size):
        yield ImageBatch(images[index], LABELS[index], index=index)


def slow_change(vit: OpenViT, image: Tensor, category: int, neurons: list[tuple[int, int]]) -> list[float]:
    """Of one image by a hook on the plain model, one neuron at a time."""
    with torch.no_grad():
        clean = vit.model(image[None]).softmax(-1)[0, category]
        changes = []
        for layer, neuron in neurons:
            found = _removed(vit, image, layer, neuron)[category]
            changes.append(float((found - clean) / clean))
    return changes


def _removed(vit: OpenViT, image: Tensor, layer: int, neuron: int) -> Tensor:
    def hook(module: torch.nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        (values,) = inputs
        values = values.clone()
        values[:, vit.path_tokens, neuron] = 0
        return (values,)

    handle = vit.down[layer].linear.register_forward_pre_hook(hook)
    probabilities = vit.model(image[None]).softmax(-1)[0]
    handle.remove()
    return probabilities


def test_it_equals_the_removal_image_by_image(vit: OpenViT, images: Tensor) -> None:
    random = random_neurons(vit.widths, USERS, 5, 3)
    measured = removed_alone(vit, batches(images), USERS, seed=3)
    assert [(one.category, one.layer, one.neuron) for one in measured] == [
        (category, *neuron) for category in (1, 4) for neuron in USERS[category]
    ]
    for one in measured:
        chosen = images[one.category == LABELS]
        own = [slow_change(vit, image, one.category, [(one.layer, one.neuron)])[0] for image in chosen]
        numbers = [(one.layer, number) for number in random[one.layer]]
        drawn = torch.tensor([slow_change(vit, image, one.category, numbers) for image in chosen])
        assert one.removed.images == len(chosen) == 8
        assert one.removed.value == pytest.approx(sum(own) / 8, abs=1e-9)
        assert one.random.value == pytest.approx(float(drawn.mean()), abs=1e-7)
        assert one.difference.value == pytest.approx(one.removed.value - one.random.value, abs=1e-12)
        for estimate in (one.removed, one.random, one.difference):
            assert estimate.low < estimate.value < estimate.high
    assert not any(module._forward_pre_hooks for module in vit.model.modules())


def test_removals_of_every_layer_together_are_intervene(images: Tensor) -> None:
    vit = open_vit(read_reference("class_token").model)
    path = torch.full((vit.depth, 1), 5)
    edits = [removal(layer, 5) for layer in range(vit.depth)]

    def together(layer: int, neurons: Tensor) -> Tensor:
        for edit in edits:
            neurons = edit(layer, neurons)
        return neurons

    with torch.no_grad(), undisturbed(vit.model):
        (fast,) = EditedForward(vit, images).edited([together])
    with torch.no_grad(), intervene(vit.model, path, "remove"):
        slow = vit.model(images)
    assert torch.allclose(fast, slow)


def test_batches_do_not_matter(images: Tensor) -> None:
    vit = open_vit(read_reference("class_token").model)
    whole = removed_alone(vit, batches(images), USERS)
    parts = removed_alone(vit, reversed(list(batches(images, 5))), USERS)
    for first, second in zip(whole, parts, strict=True):
        for one, other in zip(astuple(first)[3:], astuple(second)[3:]):
            assert one == pytest.approx(other, rel=1e-6, abs=1e-12)


def test_random_neurons_are_on_no_path() -> None:
    users = {0: [(0, number) for number in range(6)], 1: [(1, 2)]}
    chosen = random_neurons((10, 10), users, 5)
    assert 0 not in chosen
    assert len(set(chosen[1])) == 5
    assert 2 not in chosen[1]
    assert chosen == random_neurons((10, 10), users, 5)
    assert any(random_neurons((10, 10), users, 5, seed) != chosen for seed in (1, 2, 3))


def test_a_layer_without_unused_neurons_has_no_control(images: Tensor) -> None:
    vit = open_vit(read_reference("class_token").model)
    users = {1: [(1, 0)], 4: [(1, number) for number in range(vit.widths[1] - 3)]}
    first = removed_alone(vit, batches(images[:6]), users)[0]
    assert first.removed.low < first.removed.high
    numbers = [first.random.value, first.difference.value, first.difference.high]
    assert all(number != number for number in numbers)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"users": {}}, r"`neurons` must be of the model, as \(layer, number\), got none"),
        ({"users": {1: [(0, 9999)]}}, r"`neurons` must be of the model, .* got \[\(0, 9999\)\]"),
        ({"draws": 1}, "`draws` must be an integer of at least 2, got 1"),
        ({"labels": None}, "`batches` must give images with labels, got images without"),
    ],
)
def test_wrong_arguments_are_refused(images: Tensor, changed: dict[str, Any], message: str) -> None:
    vit = open_vit(read_reference("class_token").model)
    given: dict[str, Any] = {"users": USERS, "labels": LABELS[:4], **changed}
    batch = ImageBatch(images[:4], given.pop("labels"), index=torch.arange(4))
    with pytest.raises(ArgumentError, match=message):
        removed_alone(vit, [batch], given.pop("users"), **given)
