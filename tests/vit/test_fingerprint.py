from __future__ import annotations

import torch
from timm.models.vision_transformer import VisionTransformer

from nplight.vit import fingerprint
from tests.conftest import make_vit


def test_a_fingerprint_tells_weights_apart(vit: VisionTransformer) -> None:
    before = fingerprint(vit)
    assert before == fingerprint(make_vit())
    with torch.no_grad():
        vit.head.bias[0] += 1e-12
    assert fingerprint(vit) != before
