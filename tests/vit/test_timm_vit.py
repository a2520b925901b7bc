"""Edits of every timm variant against a forward pass that is written out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nplight import intervene, open_vit
from tests.by_hand import forward_by_hand
from tests.conftest import make_vit
from tests.vit.test_open_vit import VARIANTS


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("operation", "inside", "outside"), [("remove", 0, 1), ("enhance", 2, 1), ("keep", 1, 0)])
def test_an_edit_equals_a_forward_written_by_hand(
    variant: str, operation: str, inside: int, outside: int, images: Tensor
) -> None:
    model = make_vit(**VARIANTS[variant])
    vit = open_vit(model)
    draw = torch.Generator().manual_seed(3)
    path = torch.stack([torch.rand(4, width, generator=draw).argsort(1)[:, :3] for width in vit.widths], dim=1)

    def edit(layer: int, neurons: Tensor) -> Tensor:
        factor = torch.full_like(neurons[:, 0], outside).scatter(1, path[:, layer], inside)
        edited = neurons.clone()
        edited[:, vit.path_tokens] *= factor.unsqueeze(1)
        return edited

    with torch.no_grad():
        torch.testing.assert_close(model(images), forward_by_hand(model, images, lambda layer, neurons: neurons))
        with intervene(model, path, operation):
            edited = model(images)
        torch.testing.assert_close(edited, forward_by_hand(model, images, edit))
        assert not torch.allclose(edited, model(images))
