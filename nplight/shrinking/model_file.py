"""A model of any widths in a file, and its widths in the metadata."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from nplight.errors import ArgumentError, CheckpointError, described
from nplight.shrinking.shrink import smaller_layers
from nplight.store import write_whole
from nplight.vit import OpenViT, open_vit

_WIDTHS = "widths"


def save_model(model: nn.Module | OpenViT, path: str | Path) -> None:
    """Write the weights of a Vision Transformer, smaller ones too, to a safetensors file, atomically.

    `ViTClassifier(checkpoint=path)` and `nplight.modules.load_weights` read it into a model of the original size, whose
    FFNs they make as small as those of the file.

    Args:
        model: a supported model; of a wrapper only the Vision Transformer is written.
        path: of the file.

    Raises:
        UnsupportedModelError: the model cannot be opened.
        ArgumentError: `path` is not a path.
        RunFolderError: the file cannot be written.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.shrinking import save_model, stored_widths
        >>> planted = build_planted(PLANTED["chain"])
        >>> save_model(nplight.shrink(planted.model, [torch.arange(8)] * 4), "small.safetensors")
        >>> stored_widths("small.safetensors")
        (8, 8, 8, 8)
    """
    data = model_bytes(open_vit(model))
    if not isinstance(path, (str, Path)) or "\0" in str(path) or not str(path):
        raise ArgumentError(f"`path` must be the path of a file, got {described(path)}")
    write_whole(Path(path), lambda file: file.write_bytes(data))


def model_bytes(vit: OpenViT, metadata: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """The content of a safetensors file of a Vision Transformer, its widths in the metadata.

    Args:
        vit: the opened model.
        metadata: further entries.

    Examples:
        >>> import nplight
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.shrinking import model_bytes
        >>> planted = build_planted(PLANTED["chain"])
        >>> len(model_bytes(nplight.open_vit(planted.model))) > 100_000
        True
    """
    state = vit.transformer.state_dict()
    weights = {name: value.detach().cpu().clone().contiguous() for name, value in state.items()}
    return safetensors.torch.save(weights, {"format": "pt", _WIDTHS: json.dumps(vit.widths), **metadata})


def stored_widths(path: str | Path) -> tuple[int, ...] | None:
    """The widths of the model in a safetensors file; `None` if the file says nothing of them.

    Raises:
        CheckpointError: what it says is damaged.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.shrinking import save_model, stored_widths
        >>> save_model(build_planted(PLANTED["chain"]).model, "model.safetensors")
        >>> stored_widths("model.safetensors")
        (256, 256, 256, 256)
    """
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_WIDTHS)
    except (OSError, SafetensorError):
        return None  # whoever reads the weights says why
    if text is None:
        return None
    try:
        widths = json.loads(text)
    except ValueError:
        widths = None
    if not isinstance(widths, list) or not all(type(width) is int and width > 0 for width in widths):
        raise CheckpointError(
            f"`checkpoint` {path} must say its widths as a list of numbers of neurons, got {text!r:.100}"
        )
    return tuple(widths)


def layers_of_widths(
    model: nn.Module, widths: Sequence[int], names: Collection[str], checkpoint: str | Path
) -> dict[nn.Module, nn.Module]:
    """The modules that give a model the widths of a file, to replace those that it has.

    Args:
        model: of the original size.
        widths: neurons per layer in the file.
        names: of the weights in the file: a down projection may have got a bias.
        checkpoint: the file, for messages.

    Returns:
        Module -> its replacement, whose weights are yet to be loaded; empty if the model has these widths.

    Raises:
        CheckpointError: the file's model has other layers, or wider ones.
        UnsupportedModelError: the model cannot be opened or made smaller.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.shrinking import layers_of_widths
        >>> model = build_planted(PLANTED["chain"]).model
        >>> layers = layers_of_widths(model, (8, 8, 8, 8), model.state_dict(), "small.safetensors")
        >>> layers[model.blocks[0].mlp.fc1].out_features
        8
    """
    vit = open_vit(model)
    if tuple(widths) == vit.widths:
        return {}
    if len(widths) != vit.depth or any(width > full for width, full in zip(widths, vit.widths)):
        raise CheckpointError(
            f"`checkpoint` {checkpoint} holds a model with {list(widths)} neurons in its layers, which must be no more "
            f"than those of the model it was made from, but this one has {list(vit.widths)}"
        )
    modules = {module: name for name, module in vit.transformer.named_modules()}
    biased = {
        layer: torch.zeros(down.width)
        for layer, down in enumerate(vit.down)
        if down.linear.bias is None and f"{modules[down.linear]}.bias" in names
    }
    try:
        return smaller_layers(vit, list(map(torch.arange, widths)), biased)
    except ArgumentError as error:
        raise CheckpointError(f"`checkpoint` {checkpoint} does not fit the model: {error}") from error
