from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer

from nplight import UnsupportedModelError
from nplight.vit import gradients, undisturbed
from tests.conftest import make_vit


def test_a_guarded_model_is_left_as_found_also_after_an_error(vit: VisionTransformer) -> None:
    vit.train()
    vit.blocks[1].eval()
    vit.head.weight.requires_grad_(False)
    modes = [module.training for module in vit.modules()]
    wants = [parameter.requires_grad for parameter in vit.parameters()]
    with pytest.raises(KeyError), undisturbed(vit):  # noqa: PT012
        assert not any(module.training for module in vit.modules())
        assert not any(parameter.requires_grad for parameter in vit.parameters())
        raise KeyError
    assert [module.training for module in vit.modules()] == modes
    assert [parameter.requires_grad for parameter in vit.parameters()] == wants


def test_gradients_work_under_every_mode() -> None:
    for mode in (torch.inference_mode, torch.no_grad, torch.enable_grad):
        with mode(), gradients():
            leaf = torch.ones(2, requires_grad=True)
            (actual,) = torch.autograd.grad((leaf**2).sum(), leaf)
            assert actual.tolist() == [2, 2]


def test_a_model_built_under_inference_mode_is_refused() -> None:
    with torch.inference_mode():
        model = make_vit()
    with pytest.raises(UnsupportedModelError, match=r"built under torch\.inference_mode"), undisturbed(model):
        pass
