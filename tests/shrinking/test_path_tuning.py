"""Training of a path alone."""

from __future__ import annotations

import copy

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from nplight import open_vit, search, shrink
from nplight.shrinking import PathTuning
from tests.conftest import make_vit
from tests.shrinking.test_shrink import OPENED, logits_of, some_neurons
from tests.vit.families import Case


def train(tuning: PathTuning, model: nn.Module, images: Tensor, targets: Tensor, steps: int = 3) -> None:
    optimizer = torch.optim.AdamW(tuning.parameters(), lr=1e-2)
    for _ in range(steps):
        output = model(images)
        loss = nn.functional.cross_entropy(getattr(output, "logits", output), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("case", OPENED, ids=lambda case: f"{case.family} {case.variant}")
def test_the_rows_and_columns_of_the_path_change_and_no_other_bit(case: Case, images: Tensor, targets: Tensor) -> None:
    model = case.build()
    before = copy.deepcopy(model.state_dict())
    neurons = some_neurons(model, 0.1)
    with PathTuning(model, neurons) as tuning:
        train(tuning, model, images, targets)
        tuned = logits_of(model, images)
    assert torch.equal(logits_of(model, images), tuned)
    assert list(model.state_dict()) == list(before)
    vit = open_vit(model)
    names = {module: name for name, module in model.named_modules()}
    changed = set()
    for layer, chosen in enumerate(neurons):
        ffn = vit.feed_forward(layer)
        assert ffn is not None
        for linear, index, axis in [*((up, ffn.rows(chosen), 0) for up in ffn.up), (ffn.down, chosen, 1)]:
            for name, value in linear.named_parameters():
                if linear is ffn.down and name == "bias":
                    continue
                key = f"{names[linear]}.{name}"
                changed.add(key)
                differs = value != before[key]
                others = torch.ones(value.shape[axis], dtype=torch.bool)
                others[index] = False
                assert differs.index_select(axis, index).any(), key
                assert not differs.index_select(axis, others.nonzero()[:, 0]).any(), key
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items() if name not in changed)


def test_before_a_step_the_model_is_what_it_was(vit: VisionTransformer, images: Tensor) -> None:
    vit.blocks[0].mlp.fc1.weight.requires_grad_(False)
    trains = {name: parameter.requires_grad for name, parameter in vit.named_parameters()}
    expected = logits_of(vit, images)
    tuning = PathTuning(vit, torch.tensor([[0], [1], [2]]))
    assert torch.equal(logits_of(vit, images), expected)
    assert [name for name, parameter in vit.named_parameters() if parameter.requires_grad] == [
        f"blocks.{block}.mlp.{layer}.parametrizations.{name}.0.values"
        for block in range(3)
        for layer, name in (("fc1", "weight"), ("fc1", "bias"), ("fc2", "weight"))
    ]
    assert sum(parameter.numel() for parameter in tuning.parameters()) == 3 * (16 + 1 + 16)
    tuning.remove()
    tuning.remove()
    assert {name: parameter.requires_grad for name, parameter in vit.named_parameters()} == trains
    assert type(vit.blocks[0].mlp.fc1) is nn.Linear
    assert torch.equal(logits_of(vit, images), expected)


def test_what_it_learns_is_stored_and_read_as_any_parameter(
    vit: VisionTransformer, images: Tensor, targets: Tensor
) -> None:
    path = torch.tensor([[0], [1], [2]])
    with PathTuning(vit, path) as tuning:
        train(tuning, vit, images, targets)
        state = copy.deepcopy(vit.state_dict())
        tuned = logits_of(vit, images)
    other = make_vit()
    with PathTuning(other, path):
        other.load_state_dict(state)
        assert torch.equal(logits_of(other, images), tuned)
    assert torch.equal(logits_of(other, images), tuned)


def test_a_path_of_the_class_token_can_be_trained(vit: VisionTransformer, images: Tensor, targets: Tensor) -> None:
    """Its weights are the same at every token, so that nothing is claimed of some tokens."""
    paths = search(vit, images, targets, steps=2)
    before = logits_of(vit, images)
    with PathTuning(vit, paths) as tuning:
        train(tuning, vit, images, targets, steps=1)
    loss = nn.functional.cross_entropy
    assert loss(logits_of(vit, images), targets) < loss(before, targets)


def test_a_smaller_model_with_a_whole_norm_is_tuned_by_its_own_numbers(images: Tensor, targets: Tensor) -> None:
    small = shrink(make_vit(scale_mlp_norm=True), [torch.tensor([3, 7, 60])] * 3)
    before = copy.deepcopy(small.state_dict())
    with PathTuning(small, torch.tensor([[2], [2], [2]])) as tuning:
        train(tuning, small, images, targets)
    rows = (small.state_dict()["blocks.0.mlp.fc1.bias"] != before["blocks.0.mlp.fc1.bias"]).nonzero().flatten()
    assert rows.tolist() == [60]


def test_an_error_inside_leaves_a_plain_model(vit: VisionTransformer) -> None:
    with pytest.raises(RuntimeError, match="in training"), PathTuning(vit, torch.tensor([[0], [1], [2]])):
        raise RuntimeError("in training")
    assert not any(hasattr(module, "parametrizations") for module in vit.modules())
