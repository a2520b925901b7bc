from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import intervene, record
from nplight.errors import ArgumentError
from tests.by_hand import forward_by_hand


def test_all_tokens_are_recorded_when_asked(vit: VisionTransformer, images: Tensor) -> None:
    seen: dict[int, Tensor] = {}

    def read(layer: int, neurons: Tensor) -> Tensor:
        seen[layer] = neurons
        return neurons

    with torch.no_grad(), record(vit, tokens="all") as values:
        vit(images)
    with torch.no_grad():
        forward_by_hand(vit, images, read)
    for layer in range(3):
        torch.testing.assert_close(values[layer], seen[layer])
    with pytest.raises(ArgumentError, match="`tokens` must be one of 'path', 'all'"), record(vit, tokens="class"):
        pass


def test_inside_an_edit_the_edited_values_are_recorded_around_it_the_others(
    vit: VisionTransformer, images: Tensor, neurons: Tensor
) -> None:
    with torch.no_grad(), record(vit) as outside, intervene(vit, neurons, "remove"), record(vit) as inside:
        vit(images)
    removed = neurons[:, 0].unsqueeze(1)
    assert (inside[0].gather(2, removed) == 0).all()
    assert (outside[0].gather(2, removed) != 0).all()


def test_the_last_forward_pass_is_kept_without_a_graph(vit: VisionTransformer, images: Tensor) -> None:
    with record(vit) as values:
        vit(images)
        first = values[2]
        vit(images.flip(0))
    torch.testing.assert_close(values[2], first.flip(0))
    assert not values[2].requires_grad
