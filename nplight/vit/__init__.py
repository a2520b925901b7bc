"""Opening a Vision Transformer: embed | blocks | head, the sites of its neurons, its path tokens."""

from nplight.vit.feed_forward import FeedForward, KeptNorm
from nplight.vit.fingerprint import fingerprint
from nplight.vit.hooks import refuse_hooks
from nplight.vit.interrupts import interrupt_point
from nplight.vit.one_thread import changed, one_thread
from nplight.vit.open_vit import OpenViT
from nplight.vit.parts import AttentionParts, BlockParts
from nplight.vit.precision import named_dtypes
from nplight.vit.projection import DownProjection
from nplight.vit.randomised_weights import cascade_steps, cascading_randomisation, weights_of_pieces
from nplight.vit.registry import FAMILIES, open_vit
from nplight.vit.site_hook import SiteHook
from nplight.vit.state import gradients, undisturbed
from nplight.vit.torch_private import is_compiled
from nplight.vit.uncompiled import Uncompiled
from nplight.vit.wrapped import WrappedViT

__all__ = [
    "FAMILIES",
    "AttentionParts",
    "BlockParts",
    "DownProjection",
    "FeedForward",
    "KeptNorm",
    "OpenViT",
    "SiteHook",
    "Uncompiled",
    "WrappedViT",
    "cascade_steps",
    "cascading_randomisation",
    "changed",
    "fingerprint",
    "gradients",
    "interrupt_point",
    "is_compiled",
    "named_dtypes",
    "one_thread",
    "open_vit",
    "refuse_hooks",
    "undisturbed",
    "weights_of_pieces",
]
