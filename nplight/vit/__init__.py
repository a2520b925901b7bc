"""Opening a Vision Transformer: embed | blocks | head, the sites of its neurons, its path tokens."""

from nplight.vit.fingerprint import fingerprint
from nplight.vit.hooks import refuse_hooks
from nplight.vit.open_vit import OpenViT
from nplight.vit.parts import AttentionParts, BlockParts
from nplight.vit.precision import named_dtypes
from nplight.vit.projection import DownProjection
from nplight.vit.registry import FAMILIES, open_vit
from nplight.vit.state import gradients, is_compiled, undisturbed
from nplight.vit.wrapped import WrappedViT

__all__ = [
    "FAMILIES",
    "AttentionParts",
    "BlockParts",
    "DownProjection",
    "OpenViT",
    "WrappedViT",
    "fingerprint",
    "gradients",
    "is_compiled",
    "named_dtypes",
    "open_vit",
    "refuse_hooks",
    "undisturbed",
]
