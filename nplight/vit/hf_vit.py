"""ViT and DeiT classifiers of Hugging Face's transformers, an optional dependency."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from torch import Tensor, nn

from nplight.vit.feed_forward import FeedForward
from nplight.vit.module_checks import element_wise, identity, only, token_wise
from nplight.vit.open_vit import OpenViT
from nplight.vit.parts import Affine, AttentionParts, BlockParts, Projections
from nplight.vit.projection import DownProjection
from nplight.vit.refusals import is_linear, merge_first


@dataclass(frozen=True, slots=True)
class Names:
    """The names in which the families of transformers differ.

    Attributes:
        library: the module that defines the classes.
        prefix: the prefix of the names of its classes.
        backbone: the attribute that holds the model without its head.
        heads: the classes that can be opened, each with its classifiers: of the first token, the second, and so on.
    """

    library: str
    prefix: str
    backbone: str
    heads: Mapping[str, tuple[str, ...]]

    def defines(self, kind: type, name: str) -> bool:
        """Whether `kind` is the library's class of this name, given without the prefix."""
        return kind.__module__ == self.library and kind.__name__ == self.prefix + name

    def classifiers(self, kind: type) -> tuple[str, ...]:
        """The classifiers of a class or of its base class; none for a class of another family."""
        heads = (self.heads.get(base.__name__, ()) for base in kind.__mro__ if base.__module__ == self.library)
        return next(filter(None, heads), ())


_ATTENTION = ("sdpa", "eager")
_BLOCK = ("attention", "layernorm_before", "layernorm_after", "mlp", "dropout")


class HuggingFaceViT(OpenViT):
    """ViT of transformers, version 5 or 4; path token: the class token.

    The classifier may be replaced by another linear layer. One image size: that of the model.
    """

    supports = "transformers ViTForImageClassification (attention 'sdpa' or 'eager')"
    names: ClassVar[Names] = Names(
        "transformers.models.vit.modeling_vit", "ViT", "vit", {"ViTForImageClassification": ("classifier",)}
    )

    def __init__(self, model: nn.Module) -> None:
        self.refuse(model, _refusals(model, self.names))
        self.model = model
        # transformers is not imported here, so its types are not available.
        outer: Any = model
        self._backbone: Any = getattr(outer, self.names.backbone)
        self._heads = [getattr(outer, name) for name in self.names.classifiers(type(model))]
        self._layers = _layers(self._backbone)
        self.down = tuple(DownProjection(cast(nn.Linear, _down(layer))) for layer in self._layers)
        self.path_tokens = slice(0, len(self._heads))
        self.num_classes = getattr(self._heads[0], "out_features", 0)

    @classmethod
    def matches(cls, model: nn.Module) -> bool:
        """Whether `model` is transformers' class or derives from it, by name: importing transformers is slow."""
        return bool(cls.names.classifiers(type(model)))

    def embed(self, images: Tensor) -> Tensor:
        """Patches, prefix tokens and position."""
        return cast(Tensor, self._backbone.embeddings(images))

    def block(self, layer: int, stream: Tensor) -> Tensor:
        """One layer of the encoder."""
        output = self._layers[layer](stream)
        # In early releases of version 4 a layer returns a tuple: the stream, and the attention weights on request.
        return cast(Tensor, output[0] if isinstance(output, tuple) else output)

    def head(self, stream: Tensor) -> Tensor:
        """Norm, and mean of the classifiers of the path tokens: the logits, not transformers' output object."""
        normed = self._backbone.layernorm(stream)
        logits = [head(normed[:, token]) for token, head in enumerate(self._heads)]
        return cast(Tensor, logits[0] if len(logits) == 1 else sum(logits) / len(logits))

    def output(self, logits: Tensor) -> Any:
        """The logits in transformers' output object."""
        from transformers.modeling_outputs import ImageClassifierOutput  # loaded with the model

        return ImageClassifierOutput(logits=logits)

    def blocks(self) -> Sequence[nn.Module]:
        """The layers of the encoder."""
        return list(self._layers)

    def after_blocks(self) -> Sequence[nn.Module]:
        """Norm and classifiers of the path tokens."""
        norm = self._backbone.layernorm
        return [norm, *self._heads] if token_wise(norm) else ()

    def _parts(self, layer: int) -> BlockParts | None:
        block: Any = self._layers[layer]
        # Only version 5, and not 'eager', whose softmax is in float32 for every dtype of the model.
        all_known = only(block, _BLOCK) and hasattr(block, "mlp") and identity(getattr(block, "dropout", None))
        if not all_known or cast(Any, self.model).config._attn_implementation != "sdpa":
            return None
        attention, mlp = _attention(block.attention, self.names), block.mlp
        up = self.names.defines(type(mlp), "MLP") and only(mlp, ("activation_fn", "fc1", "fc2"))
        if attention is None or not up or not token_wise(block.layernorm_before, block.layernorm_after):
            return None
        if not is_linear(mlp.fc1) or not element_wise(mlp.activation_fn):
            return None
        first = Affine.of(mlp.fc1)
        return BlockParts(
            block.layernorm_before,
            attention,
            block.layernorm_after,
            lambda normed: mlp.activation_fn(first(normed)),
            self.down[layer],
        )

    def feed_forward(self, layer: int) -> FeedForward | None:
        """The two linear layers of the FFN, which version 4 keeps in two modules."""
        block: Any = self._layers[layer]
        up = block.mlp.fc1 if hasattr(block, "mlp") else block.intermediate.dense
        return FeedForward((up,), self.down[layer].linear) if is_linear(up) else None

    def record_widths(self) -> None:
        """Write a width that all layers have into the configuration, so that `from_pretrained` builds such a model."""
        if len(set(self.widths)) == 1:
            cast(Any, self.model).config.intermediate_size = self.widths[0]

    def merging_site(self) -> tuple[nn.Module, int]:
        """The embeddings; a class token, in DeiT also a distillation token."""
        embeddings = self._backbone.embeddings
        return embeddings, 1 if getattr(embeddings, "distillation_token", None) is None else 2

    def image_shape(self) -> tuple[int, int | None, int | None]:
        """The size of the model's configuration: positions are interpolated only on request of the caller."""
        patches = self._backbone.embeddings.patch_embeddings
        height, width = patches.image_size
        return (patches.num_channels, height, width)


class HuggingFaceDeiT(HuggingFaceViT):
    """DeiT of transformers; path tokens: the class token, and with a teacher also the distillation token.

    With a teacher the logits are the mean of the two heads, as are the `logits` of the model.
    """

    supports = "transformers DeiTForImageClassification, also WithTeacher (attention 'sdpa' or 'eager')"
    names = Names(
        "transformers.models.deit.modeling_deit",
        "DeiT",
        "deit",
        {
            "DeiTForImageClassification": ("classifier",),
            "DeiTForImageClassificationWithTeacher": ("cls_classifier", "distillation_classifier"),
        },
    )


def _attention(attention: Any, names: Names) -> AttentionParts | None:
    projections = ("q_proj", "k_proj", "v_proj", "o_proj")
    if not names.defines(type(attention), "Attention") or not only(attention, projections):
        return None
    layers = [getattr(attention, name, None) for name in projections]
    plain = not attention.is_causal and attention.scaling == attention.head_dim**-0.5
    if not plain or not all(map(is_linear, layers)):
        return None
    query, key, value, project = (Affine.of(cast(nn.Linear, layer)) for layer in layers)
    return AttentionParts(Projections(query, key, value), attention.head_dim, project)


def _refusals(model: Any, names: Names) -> Iterator[str]:
    backbone = getattr(model, names.backbone)
    for name, module in _replayed(model, backbone):
        owner = next(base for base in type(module).__mro__ if "forward" in vars(base))
        if owner.__module__ != names.library:
            yield f"{name}, a {type(module).__name__}, overrides forward"
    attention = model.config._attn_implementation
    if attention not in _ATTENTION:
        yield (
            f"its attention is {attention!r}, which has no forward-mode derivative; "
            f"choose another, as in model.set_attn_implementation('sdpa')"
        )
    yield from _head_refusals({name: getattr(model, name) for name in names.classifiers(type(model))})
    for index, layer in enumerate(_layers(backbone)):
        if not names.defines(type(layer), "Layer"):
            yield f"block {index} is a {type(layer).__name__}"
        elif not is_linear(_down(layer)):
            yield f"the FFN of block {index} has no linear down projection{merge_first(_down(layer))}"
        else:
            continue
        break  # the first refused block stands for all


def _head_refusals(heads: Mapping[str, nn.Module]) -> Iterator[str]:
    for name, head in heads.items():
        if not isinstance(head, (nn.Linear, nn.Identity)):
            yield f"its {name} is a {type(head).__name__} and not linear"
            return
    counts = [getattr(head, "out_features", 0) for head in heads.values()]
    if len(set(counts)) > 1:
        yield f"its heads have different numbers of categories, {' and '.join(map(str, counts))}"


def _replayed(model: Any, backbone: Any) -> Iterator[tuple[str, nn.Module]]:
    """The modules whose forwards are replayed piece by piece, so that they must be those of transformers."""
    yield "it", model
    yield "its backbone", backbone
    if hasattr(backbone, "encoder"):
        yield "its encoder", backbone.encoder


def _layers(backbone: Any) -> nn.ModuleList:
    # Version 5 removed the encoder around the layers.
    return cast(nn.ModuleList, backbone.encoder.layer if hasattr(backbone, "encoder") else backbone.layers)


def _down(layer: Any) -> object:
    # Version 5 merged the halves of the FFN, `intermediate` and `output`, into one module.
    return layer.mlp.fc2 if hasattr(layer, "mlp") else layer.output.dense
