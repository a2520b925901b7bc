"""`shrink`: a model without the neurons that are not kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import cast

import torch
from torch import Tensor, nn

from nplight.errors import ArgumentError, UnsupportedModelError, check_choice, listed
from nplight.neurons import FILLS, Fill, References, at_sites
from nplight.neurons.fills import resolve
from nplight.shrinking.layer_neurons import Neurons, layer_neurons, removed_neurons
from nplight.shrinking.replaced import copied, linear_like, rows_of
from nplight.vit import FeedForward, KeptNorm, OpenViT, WrappedViT, open_vit, undisturbed
from nplight.vit.module_checks import hooked
from nplight.vit.rounding import equal_but_for_rounding

_ANY_SIZE = 224  # of a trial image, for a model that takes every size


@torch.inference_mode(False)
def shrink(
    model: nn.Module | OpenViT,
    neurons: Neurons,
    *,
    fill: Fill = "zero",
    references: References | Mapping[int, Tensor] | None = None,
) -> nn.Module:
    """A smaller model that computes only the kept neurons of each FFN.

    The up projections, the gate and the down projection are sliced to the kept neurons; the other neurons hold their
    fill at every token. So the model equals the original inside `intervene(model, neurons, "keep", tokens="all")`, but
    for rounding. The norm over the neurons that some FFNs have before the down projection depends on all of them: there
    up projections and gate stay whole, and the down projection alone is sliced (`KeptNorm`).

    Args:
        model: a supported model, in any mode; left unchanged.
        neurons: which are kept, in every layer at least one: a path (layers, K) int64; a list with one tensor per
            layer, indices (K,) int64 or a mask (width,) bool, whose numbers may differ, such as those of `top_share`;
            or a `PathBatch`, `CategoryPaths` or a `PathTable`, for the union of its paths. A tensor is taken as chosen
            at all tokens. Paths are refused unless every token of the model is a path token: a path of the class token
            says nothing of the neurons that the other tokens use.
        fill: what stands in the other neurons: `zero`; `mean` or `peak`, whose effect goes into the bias of the down
            projection.
        references: the values of `mean` or `peak`, from `nplight.references(..., tokens="all")`; or a mapping layer ->
            (1, 1, width).

    Returns:
        A copy of `model`, of the same class, mode, dtype and device, with smaller linear layers; `open_vit` opens it.

    Raises:
        UnsupportedModelError: the model cannot be opened, its FFNs have hooks, or their neurons depend on one another.
        ArgumentError: the neurons are not those of the model, a layer keeps none, the paths were not searched at all
            tokens, or the fill or its values are not constants.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> import nplight
        >>> kept = [neurons.unique() for neurons in planted.truth.transpose(0, 1)]  # of every category
        >>> small = nplight.shrink(planted.model, kept)
        >>> nplight.open_vit(planted.model).widths, nplight.open_vit(small).widths
        ((256, 256, 256, 256), (4, 4, 4, 4))
    """
    vit = open_vit(model)
    kept = layer_neurons(vit, neurons)
    constants = _constants(vit, fill, references)
    small = copied(vit.model, smaller_layers(vit, kept, constants))
    opened = _opened_copy(vit, small)
    opened.record_widths()
    _check_independence(_inner(vit), opened, kept)
    return small


def smaller_layers(
    vit: OpenViT, kept: Sequence[Tensor], constants: Mapping[int, Tensor] = MappingProxyType({})
) -> dict[nn.Module, nn.Module]:
    """The smaller modules that replace those of the FFNs.

    Args:
        vit: the opened model.
        kept: per layer (K,) int64, on the CPU.
        constants: layer -> (width,), the values that stand in the other neurons; zeros elsewhere.

    Raises:
        UnsupportedModelError: an FFN cannot be made smaller.
    """
    replacements: dict[nn.Module, nn.Module] = {}
    removed = removed_neurons(vit, kept)
    for layer, ffn in enumerate(feed_forwards(vit)):
        chosen, others = (numbers.to(ffn.down.weight.device) for numbers in (kept[layer], removed[layer]))
        if not len(others):
            continue
        if ffn.norm is None:
            rows = ffn.rows(chosen)
            replacements |= {up: rows_of(up, rows) for up in ffn.up}
        elif isinstance(ffn.norm, KeptNorm):
            replacements[ffn.norm] = KeptNorm(copied(ffn.norm.norm, {}), ffn.norm.kept[chosen])
        else:
            replacements[ffn.norm] = KeptNorm(copied(ffn.norm, {}), chosen)
        replacements[ffn.down] = _smaller_down(ffn.down, chosen, others, constants.get(layer))
    return replacements


def feed_forwards(vit: OpenViT) -> list[FeedForward]:
    """The modules of every FFN.

    Raises:
        UnsupportedModelError: the family does not know them, they are shared by blocks, or have hooks.
    """
    ffns = [vit.feed_forward(layer) for layer in range(vit.depth)]
    unknown = [layer for layer, ffn in enumerate(ffns) if ffn is None]
    if unknown:
        raise UnsupportedModelError(
            f"`model` is a {type(vit.transformer).__name__} whose FFNs in layers {listed(unknown)} are not known by "
            f"their linear layers, so that they cannot be made smaller; a family of your own can say `feed_forward`"
        )
    known = [ffn for ffn in ffns if ffn is not None]
    modules = [module for ffn in known for module in (*ffn.up, ffn.down)]
    if len(set(modules)) < len(modules):
        raise UnsupportedModelError(
            "`model` has blocks that share an FFN, whose neurons cannot be kept for each layer separately; "
            "give each block an FFN of its own"
        )
    if any(hooked(*ffn.up, ffn.down, *([ffn.norm] if ffn.norm is not None else [])) for ffn in known):
        raise UnsupportedModelError(
            "`model` must have no hooks on the layers of its FFNs, which would meet other neurons; remove them, and "
            "leave the contexts of nplight that edit or record neurons"
        )
    return known


def _smaller_down(down: nn.Linear, kept: Tensor, removed: Tensor, constants: Tensor | None) -> nn.Linear:
    weight, bias = down.weight.detach(), cast("Tensor | None", down.bias)
    if constants is not None:
        held = constants.to(weight.device, torch.float64)[removed]
        added = weight[:, removed].double() @ held
        bias = (added if bias is None else bias.detach().double() + added).to(weight.dtype)
    return linear_like(down, weight[:, kept], bias)


def _constants(vit: OpenViT, fill: Fill, references: References | Mapping[int, Tensor] | None) -> dict[int, Tensor]:
    check_choice("fill", fill, FILLS)
    if fill == "resample":
        raise ArgumentError(
            "`fill` must be 'zero', 'mean' or 'peak', whose values are constants that a bias can hold, got 'resample'"
        )
    values = resolve(fill, references, "all", vit.widths)
    if values is None:
        return {}
    for layer, width in enumerate(vit.widths):
        if tuple(values[layer].shape) != (1, 1, width):
            raise ArgumentError(
                f"`references` of layer {layer} must be (1, 1, {width}), one constant per neuron, "
                f"got {tuple(values[layer].shape)}"
            )
        if not values[layer].isfinite().all():
            raise ArgumentError(f"`references` of layer {layer} must be finite, got NaN or infinite values")
    return {layer: values[layer].flatten().detach() for layer in range(vit.depth)}


def _inner(vit: OpenViT) -> OpenViT:
    return vit.inner if isinstance(vit, WrappedViT) else vit


def _opened_copy(vit: OpenViT, copy: nn.Module) -> OpenViT:
    """The ViT in a copy of the model, opened as the family of the original."""
    name = next(name for name, module in vit.model.named_modules() if module is vit.transformer)
    family: Callable[[nn.Module], OpenViT] = type(_inner(vit))
    return family(copy.get_submodule(name))


def _check_independence(vit: OpenViT, small: OpenViT, kept: Sequence[Tensor]) -> None:
    """Refuse FFNs whose neurons differ in the smaller model, for a random stream: they depend on removed ones."""
    generator = torch.Generator().manual_seed(0)
    with undisturbed(vit.model), undisturbed(small.model), torch.no_grad():
        shape = vit.embed(_blank_image(vit)).shape
        stream = torch.randn(shape, generator=generator).to(vit.down[0].linear.weight)
        for layer, chosen in enumerate(kept):
            expected = _neurons(vit, layer, stream)[..., chosen.to(stream.device)]
            try:
                equal = equal_but_for_rounding(_neurons(small, layer, stream), expected)
            except RuntimeError:  # weights for every neuron no longer fit
                equal = False
            if not equal:
                raise UnsupportedModelError(
                    f"`model` has an FFN in block {layer} whose neurons depend on one another, as through an "
                    f"activation with weights, so that they are others without the removed ones; it cannot be made "
                    f"smaller"
                )


def _neurons(vit: OpenViT, layer: int, stream: Tensor) -> Tensor:
    values: list[Tensor] = []

    def read(neurons: Tensor) -> Tensor:
        values.append(neurons)
        return neurons

    with at_sites(vit, {layer: read}, tokens="all"):
        vit.block(layer, stream)
    return values[0]


def _blank_image(vit: OpenViT) -> Tensor:
    channels, *sides = vit.image_shape()
    sizes = [
        size or (2 * multiple if multiple > 1 else _ANY_SIZE) for size, multiple in zip(sides, vit.image_multiple())
    ]
    return vit.down[0].linear.weight.new_zeros(1, channels or 3, *sizes)
