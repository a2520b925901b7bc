"""timm's distilled `VisionTransformer`: two prefix tokens, two heads."""

from __future__ import annotations

from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from nplight.vit.timm_vit import TimmViT


class TimmDistilledViT(TimmViT):
    """Distilled DeiT: its logits are the mean of the heads of the class token and of the distillation token.

    Path tokens: those two.
    """

    replayed_class = VisionTransformerDistilled
    supports = "timm VisionTransformerDistilled (DeiT with a distillation token)"

    @classmethod
    def matches(cls, model: nn.Module) -> bool:
        return isinstance(model, VisionTransformerDistilled)

    def _path_tokens(self, model: VisionTransformer) -> slice:
        return slice(0, 2)
