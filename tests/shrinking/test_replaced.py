"""Modules replaced in place and in copies."""

from __future__ import annotations

import torch
from torch import nn

from nplight.shrinking.replaced import copied, linear_like, replace, rows_of


def holder() -> nn.ModuleDict:
    linear = nn.Linear(2, 3)
    return nn.ModuleDict({"inside": nn.Sequential(linear, nn.ReLU()), "alias": linear})


def test_every_place_is_replaced() -> None:
    model, new = holder(), nn.Linear(2, 1)
    old = model["alias"]
    copy = copied(model, {old: new})
    assert copy["alias"] is new
    assert copy["inside"][0] is new  # type: ignore[index]
    assert model["alias"] is old
    replace(model, {old: new})
    assert model["alias"] is new
    assert model["inside"][0] is new  # type: ignore[index]


def test_layers_keep_what_trains_and_their_mode() -> None:
    linear = nn.Linear(2, 3).eval()
    linear.bias.requires_grad_(False)
    rows = rows_of(linear, torch.tensor([2, 0]))
    assert torch.equal(rows.weight, linear.weight[[2, 0]])
    assert torch.equal(rows.bias, linear.bias[[2, 0]])
    assert (rows.training, rows.weight.requires_grad, rows.bias.requires_grad) == (False, True, False)
    assert (rows.in_features, rows.out_features) == (2, 2)
    frozen = nn.Linear(2, 3, bias=False).requires_grad_(False)
    assert not linear_like(frozen, frozen.weight, torch.zeros(3)).bias.requires_grad
