from __future__ import annotations

import pytest
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from nplight import UnsupportedModelError, open_vit
from tests.conftest import make_vit


def test_opening_twice_is_opening_once(vit: VisionTransformer) -> None:
    assert open_vit(open_vit(vit)).model is vit


def test_the_only_vit_in_a_module_is_found(vit: VisionTransformer) -> None:
    outer = nn.ModuleDict({"backbone": nn.ModuleDict({"vit": vit}), "other": nn.Linear(2, 2)})
    assert open_vit(outer).model is vit
    assert open_vit(outer, "backbone.vit").model is vit
    assert open_vit(vit).model is vit


def test_two_vits_must_be_told_apart(vit: VisionTransformer) -> None:
    both = nn.ModuleDict({"student": vit, "teacher": make_vit()})
    assert open_vit(both, "student").model is vit
    with pytest.raises(UnsupportedModelError, match=r"holds 2 Vision Transformers, student, teacher; name one"):
        open_vit(both)
    with pytest.raises(UnsupportedModelError, match="`vit` must name a module inside ModuleDict, got 'pupil'"):
        open_vit(both, "pupil")
    with pytest.raises(UnsupportedModelError, match="Linear, which cannot be opened"):
        open_vit(nn.Linear(2, 2))
