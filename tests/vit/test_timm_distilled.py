from __future__ import annotations

import pytest
import torch
from timm.models.deit import VisionTransformerDistilled
from torch import Tensor

from nplight import UnsupportedModelError, open_vit
from nplight.vit.timm_distilled import TimmDistilledViT
from nplight.vit.timm_vit import TimmViT
from tests.conftest import make_vit


def test_the_two_heads_are_averaged_over_the_two_path_tokens(images: Tensor) -> None:
    model = make_vit(VisionTransformerDistilled)
    vit = open_vit(model)
    assert type(vit) is TimmDistilledViT
    assert vit.path_tokens == slice(0, 2)
    with torch.no_grad():
        stream = vit.embed(images)
        normed = model.norm(stream)
        torch.testing.assert_close(vit.head(stream), (model.head(normed[:, 0]) + model.head_dist(normed[:, 1])) / 2)
        torch.testing.assert_close(vit.forward(images), model(images))
    assert vit.head_takes_path_tokens()


def test_only_the_distilled_class_matches() -> None:
    assert TimmDistilledViT.matches(make_vit(VisionTransformerDistilled))
    assert not TimmDistilledViT.matches(make_vit())
    assert type(open_vit(make_vit())) is TimmViT


class Changed(VisionTransformerDistilled):
    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        return super().forward_head(x, pre_logits) * 2


def test_a_subclass_with_a_head_of_its_own_is_refused() -> None:
    with pytest.raises(
        UnsupportedModelError, match=r"overrides forward_head.*Supported: timm VisionTransformerDistill"
    ):
        open_vit(make_vit(Changed))
