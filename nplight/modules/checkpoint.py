"""Loading weights from files, without running code from them."""

from __future__ import annotations

import os
import re
import textwrap
import warnings
import zipfile
from collections.abc import Collection, Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor, nn

from nplight.errors import CheckpointError, listed
from nplight.modules.google_npz import load_google_npz
from nplight.modules.state_dicts import WRAPS, find_weights
from nplight.modules.weight_checks import check_fits, check_kinds, check_values, short
from nplight.shrinking import layers_of_widths, stored_widths
from nplight.shrinking.replaced import copied, replace

BUNDLED_PREFIX = "bundled:"


def load_weights(model: nn.Module, checkpoint: str | Path) -> None:
    """Load weights into a model, all of them or none.

    Args:
        model: of the architecture of the weights; of the original size, for those of a model that was made smaller.
        checkpoint: a `.safetensors`, `.pth`, `.pt` or `.ckpt` file, a `.npz` of Google's layout, or `bundled:NAME` for
            weights that come with nplight. The state dict may be the whole content or under a key of a training program
            (`state_dict`, `model`, `ema` …; plain weights are preferred to averaged ones, with a warning), and its
            names may share a wrapper's prefix (`model.`, `module.`, `backbone.`, `_orig_mod.` …); keys and prefixes
            that were removed are printed. A file of `nplight.shrinking.save_model` gives the model its widths.

    Raises:
        CheckpointError: the file is missing, damaged, would run code, is compressed, holds NaN, or is not of the
            model's architecture; missing, unexpected and differently shaped weights are named.

    Examples:
        >>> import timm
        >>> from nplight.modules import load_weights
        >>> size = {"img_size": 16, "patch_size": 4, "embed_dim": 48, "depth": 6, "num_heads": 4, "mlp_ratio": 6}
        >>> model = timm.create_model("vit_tiny_patch16_224", num_classes=10, **size)
        >>> taken = load_weights(model, "bundled:digits_width_48")
    """
    if str(checkpoint).endswith(".npz"):
        _check_file(checkpoint)
        load_google_npz(model, Path(checkpoint))
        return
    weights = _read(checkpoint, model.state_dict())
    smaller = _smaller_layers(model, checkpoint, weights)
    expected = (copied(model, smaller) if smaller else model).state_dict()
    shapes = [{name: tuple(value.shape) for name, value in state.items()} for state in (weights, expected)]
    check_fits(checkpoint, *shapes)
    check_kinds(checkpoint, weights, expected)
    check_values(f"`checkpoint` {checkpoint}", weights)
    replace(model, smaller)
    model.load_state_dict(weights)


def read_weights(checkpoint: str | Path) -> dict[str, Tensor]:
    """The state dict of a checkpoint; arguments and errors as `load_weights`.

    Examples:
        >>> from nplight.modules import read_weights
        >>> weights = read_weights("bundled:digits_width_48")
        >>> weights["head.weight"].shape
        torch.Size([10, 48])
    """
    return _read(checkpoint)


def _read(checkpoint: str | Path, names: Collection[str] = ()) -> dict[str, Tensor]:
    """The state dict of a checkpoint for a model whose weights have the given names."""
    name = str(checkpoint)
    if name.startswith(BUNDLED_PREFIX):
        resource = files("nplight.modules") / "bundled" / f"{name.removeprefix(BUNDLED_PREFIX)}.safetensors"
        if not resource.is_file():
            bundled = [file.name for file in (files("nplight.modules") / "bundled").iterdir()]
            choices = sorted(BUNDLED_PREFIX + Path(file).stem for file in bundled if file.endswith(".safetensors"))
            raise CheckpointError(f"`checkpoint` must be a file or one of {listed(choices)}, got {name}")
        with as_file(resource) as path:
            return _weights_in(path, names)
    _check_file(checkpoint)
    return _weights_in(Path(checkpoint), names)


def _smaller_layers(model: nn.Module, checkpoint: str | Path, names: Collection[str]) -> dict[nn.Module, nn.Module]:
    """The modules of smaller FFNs, if the file holds a model that was made smaller."""
    if str(checkpoint).startswith(BUNDLED_PREFIX) or not str(checkpoint).endswith(".safetensors"):
        return {}
    widths = stored_widths(checkpoint)
    return {} if widths is None else layers_of_widths(model, widths, names, checkpoint)


def _check_file(checkpoint: str | Path) -> None:
    if not os.path.isfile(checkpoint):  # `Path.is_file` raises for a name that is too long
        raise CheckpointError(f"`checkpoint` must be a file that exists, got {short(checkpoint, 500)}")


def _weights_in(path: Path, names: Collection[str]) -> dict[str, Tensor]:
    content = _content(path)
    state_dict = find_weights(content, names)
    if state_dict is None:
        content_keys = (
            f"; it has {listed(short(key) for key in content)}" if isinstance(content, Mapping) and content else ""
        )
        raise CheckpointError(
            f"`checkpoint` {path} holds no state dict, neither alone nor under {listed(WRAPS)}{content_keys}"
        )
    if state_dict.others:
        keys = ".".join(state_dict.wrap)
        rank_zero_warn(
            f"checkpoint {path} holds weights under `{keys}` and {_quoted(state_dict.others)}; those under "
            f"`{keys}` are taken (for others, save them alone in a file and give that)"
        )
    if state_dict.describe():
        rank_zero_info(f"Checkpoint {path}: {state_dict.describe()}")
    return state_dict.weights


def _content(path: Path) -> Any:
    """The content of a file, read without running code from it."""
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        if reason := _expands(path):
            raise ValueError(reason)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles that are refused below
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise many kinds of errors
        raise CheckpointError(
            f"`checkpoint` {path} cannot be read as weights (it may be cut off, or hold more than weights): "
            f"{_reason(error)}"
        ) from error


def _expands(path: Path) -> str | None:
    """The reason why an archive would take more memory than its size, or `None`; PyTorch never compresses."""
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if all(entry.compress_type == zipfile.ZIP_STORED for entry in entries) and (
        sum(entry.file_size for entry in entries) <= path.stat().st_size
    ):
        return None
    return "it is compressed, which PyTorch's own files never are; save the weights again with torch.save"


def _reason(error: Exception) -> str:
    """The message of a reader's error in one line, without PyTorch's advice to load a pickle unsafely."""
    if match := re.search(r"GLOBAL (\S+)", str(error)):
        return (
            f"it holds a {match[1]}; save the weights alone, with torch.save(model.state_dict(), …) or as safetensors"
        )
    if "weights_only" in str(error):
        return "it is not a file of PyTorch's, or a pickle of other things; save the weights alone, with torch.save"
    return textwrap.shorten(str(error), 200) or type(error).__name__


def _quoted(keys: Collection[str]) -> str:
    return ", ".join(f"`{key}`" for key in keys)
