"""Neurons appended to a model that stays as it is."""

from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from nplight import joint_score, open_vit, record, search
from nplight.attribution import plain_search
from nplight.planted.appended_neurons import (
    AppendedNeurons,
    append_neurons,
    appended_neurons,
    train_appended_alone,
)
from tests.conftest import make_vit


def drawn(model: VisionTransformer, top_k: int) -> AppendedNeurons:
    generator = torch.Generator().manual_seed(3)
    depth, features = len(model.blocks), model.embed_dim
    shapes = ((depth, top_k, features), (depth, top_k), (depth, features, top_k))
    return AppendedNeurons(*(torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes))


@pytest.mark.parametrize("class_token", [False, True])
def test_appended_neurons_come_last_and_the_rest_stays_bit_for_bit(class_token: bool, images: Tensor) -> None:
    old, model = make_vit(), make_vit()
    appended = drawn(model, 2)
    append_neurons(model, appended, class_token=class_token)
    width = open_vit(old).widths[0]
    assert open_vit(model).widths == (width + 2,) * 3
    for name, value in old.state_dict().items():
        new = model.state_dict()[name]
        cut = tuple(slice(0, size) for size in value.shape)
        assert torch.equal(new[cut], value), name
    for values, copied in zip(appended, appended_neurons(model, 2)):
        assert torch.equal(values, copied)
    assert not torch.allclose(model(images), old(images))


def test_at_the_class_token_alone_they_are_0_elsewhere(images: Tensor) -> None:
    everywhere, model = make_vit(), make_vit()
    for vit, class_token in ((everywhere, False), (model, True)):
        append_neurons(vit, drawn(vit, 2), class_token=class_token)
    with record(everywhere, tokens="all") as wanted:
        everywhere(images)
    with record(model, tokens="all") as values:
        model(images)
    assert torch.equal(values[0][:, 0], wanted[0][:, 0])
    assert torch.equal(values[0][:, 1:, :-2], wanted[0][:, 1:, :-2])
    assert values[0][:, 1:, -2:].count_nonzero() == 0
    assert wanted[0][:, 1:, -2:].count_nonzero() > 0


@pytest.mark.parametrize("top_k", [1, 2])
def test_neurons_of_the_class_token_alone_are_searched_as_others(top_k: int, images: Tensor, targets: Tensor) -> None:
    """Blocks that must not be taken apart by tokens are run whole, as the slow definition runs them."""
    model = make_vit()
    append_neurons(model, drawn(model, 2), class_token=True)
    assert open_vit(model).parts(1) is None
    paths = search(model, images, targets, top_k=top_k, steps=5)
    wanted = plain_search(open_vit(model), images, targets, top_k=top_k, steps=5)
    assert torch.equal(paths.neurons, wanted.neurons)
    torch.testing.assert_close(paths.neuron_scores, wanted.neuron_scores)
    torch.testing.assert_close(paths.scores, joint_score(model, images, targets, paths.neurons, steps=5))


def test_training_changes_no_bit_of_the_rest(images: Tensor, targets: Tensor) -> None:
    model = make_vit()
    append_neurons(model, drawn(model, 1), class_token=False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = appended_neurons(model, 1)
    optimizer = torch.optim.Adam(train_appended_alone(model, 1), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), targets).backward()
        optimizer.step()
    assert all((values != start).any() for values, start in zip(appended_neurons(model, 1), first))
    for name, value in make_vit().state_dict().items():
        cut = tuple(slice(0, size) for size in value.shape)
        assert torch.equal(model.state_dict()[name][cut], before[name][cut]), name
