"""`ViTForImageClassification` of Hugging Face's transformers, which need not be installed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from torch import Tensor, nn

from nplight.vit.known import identity, only, token_wise
from nplight.vit.open_vit import OpenViT
from nplight.vit.parts import Affine, AttentionParts, BlockParts, Projections
from nplight.vit.projection import DownProjection
from nplight.vit.refusals import is_linear

_LIBRARY = "transformers.models.vit.modeling_vit"
_ATTENTION = ("sdpa", "eager")
_BLOCK = ("attention", "layernorm_before", "layernorm_after", "mlp", "dropout")


class HuggingFaceViT(OpenViT):
    """ViT as transformers builds it, of version 5 or 4; path token: the class token.

    The classifier may have been replaced by another linear layer. One image size: the model's own.
    """

    supports = "transformers ViTForImageClassification (attention 'sdpa' or 'eager')"

    def __init__(self, model: nn.Module) -> None:
        self.refuse(model, _refusals(model))
        self.model = model
        # transformers is not imported here, so that its types are not known.
        outer: Any = model
        self._outer = outer
        self._layers = _layers(outer)
        self.down = tuple(DownProjection(cast(nn.Linear, _down(layer))) for layer in self._layers)
        self.path_tokens = slice(0, 1)
        self.num_classes = getattr(outer.classifier, "out_features", 0)

    @classmethod
    def matches(cls, model: nn.Module) -> bool:
        """Whether `model` is transformers' class or derives from it, by name: importing transformers is slow."""
        return any(_is_library_class(base, "ViTForImageClassification") for base in type(model).__mro__)

    def embed(self, images: Tensor) -> Tensor:
        """Patches, class token and position."""
        return cast(Tensor, self._outer.vit.embeddings(images))

    def block(self, layer: int, stream: Tensor) -> Tensor:
        """One `ViTLayer`."""
        found = self._layers[layer](stream)
        # A layer of early versions 4 returns a tuple: the stream, and the attention weights where they are asked for.
        return cast(Tensor, found[0] if isinstance(found, tuple) else found)

    def head(self, stream: Tensor) -> Tensor:
        """Norm and classifier of the class token: the logits themselves, not transformers' output object."""
        return cast(Tensor, self._outer.classifier(self._outer.vit.layernorm(stream)[:, 0]))

    def output(self, logits: Tensor) -> Any:
        """As transformers wraps them."""
        from transformers.modeling_outputs import ImageClassifierOutput  # loaded already, as the model is its own

        return ImageClassifierOutput(logits=logits)

    def blocks(self) -> Sequence[nn.Module]:
        """The `ViTLayer`s."""
        return list(self._layers)

    def after_blocks(self) -> Sequence[nn.Module]:
        """Norm and classifier of the class token."""
        modules = [self._outer.vit.layernorm, self._outer.classifier]
        return modules if token_wise(modules[0]) else ()

    def _parts(self, layer: int) -> BlockParts | None:
        block: Any = self._layers[layer]
        # Of version 5, and not 'eager', whose softmax is in float32 whatever the model's dtype.
        whole = only(block, _BLOCK) and hasattr(block, "mlp") and identity(getattr(block, "dropout", None))
        if not whole or self._outer.config._attn_implementation != "sdpa":
            return None
        attention, mlp = _attention(block.attention), block.mlp
        up = is_linear(mlp.fc1) and only(mlp, ("activation_fn", "fc1", "fc2"))
        if attention is None or not up or not token_wise(block.layernorm_before, block.layernorm_after):
            return None
        first = Affine.of(mlp.fc1)
        return BlockParts(
            block.layernorm_before,
            attention,
            block.layernorm_after,
            lambda normed: mlp.activation_fn(first(normed)),
            self.down[layer],
        )

    def image_shape(self) -> tuple[int, int | None, int | None]:
        """The one size the model was built for: it interpolates its positions only when its caller asks for that."""
        patches = self._outer.vit.embeddings.patch_embeddings
        height, width = patches.image_size
        return (patches.num_channels, height, width)


def _attention(attention: Any) -> AttentionParts | None:
    names = ("q_proj", "k_proj", "v_proj", "o_proj")
    if not _is_library_class(type(attention), "ViTAttention") or not only(attention, names):
        return None
    layers = [getattr(attention, name, None) for name in names]
    if not all(map(is_linear, layers)):
        return None
    query, key, value, project = (Affine.of(cast(nn.Linear, layer)) for layer in layers)
    return AttentionParts(Projections(query, key, value), attention.head_dim, project)


def _refusals(model: Any) -> Iterator[str]:
    for name, module in _replayed(model):
        owner = next(base for base in type(module).__mro__ if "forward" in vars(base))
        if owner.__module__ != _LIBRARY:
            yield f"{name}, a {type(module).__name__}, overrides forward"
    attention = model.config._attn_implementation
    if attention not in _ATTENTION:
        yield (
            f"its attention is {attention!r}, which has no forward-mode derivative; "
            f"choose one that has, as in model.set_attn_implementation('sdpa')"
        )
    if not isinstance(model.classifier, (nn.Linear, nn.Identity)):
        yield f"its classifier is a {type(model.classifier).__name__} and not linear"
    for index, layer in enumerate(_layers(model)):
        if not _is_library_class(type(layer), "ViTLayer"):
            yield f"block {index} is a {type(layer).__name__}"
        elif not is_linear(_down(layer)):
            yield f"the FFN of block {index} has no linear down projection"
        else:
            continue
        break  # the other blocks are alike


def _is_library_class(kind: type, name: str) -> bool:
    return kind.__module__ == _LIBRARY and kind.__name__ == name


def _replayed(model: Any) -> Iterator[tuple[str, nn.Module]]:
    """The modules whose forwards are replayed piece by piece, which must be transformers' own."""
    yield "it", model
    yield "its backbone", model.vit
    if hasattr(model.vit, "encoder"):
        yield "its encoder", model.vit.encoder


def _layers(model: Any) -> nn.ModuleList:
    # Version 5 dropped the encoder around the layers.
    return cast(nn.ModuleList, model.vit.encoder.layer if hasattr(model.vit, "encoder") else model.vit.layers)


def _down(layer: Any) -> object:
    # Version 5 joined the two halves of the FFN, `intermediate` and `output`, in one module.
    return layer.mlp.fc2 if hasattr(layer, "mlp") else layer.output.dense
