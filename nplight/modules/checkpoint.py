"""Weights from disk, without running code from the file."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from nplight.errors import CheckpointError, listed
from nplight.modules.google_npz import load_google_npz
from nplight.modules.mismatch import check_fits

BUNDLED_PREFIX = "bundled:"
# Where other programs keep the weights inside a checkpoint, in the order they are looked for.
_NESTED = ("state_dict", "model")
# What stands before each name when a LightningModule holds the model as `self.model`, or a parallel wrapper does.
_WRAPPERS = ("model.", "module.")


def load_weights(model: nn.Module, checkpoint: str | Path) -> None:
    """Load weights into a model, all of them or none.

    Args:
        model: of the architecture that the weights were made for.
        checkpoint: a `.safetensors`, `.pth`, `.pt` or `.ckpt` file (a state dict, alone or under `state_dict` or
            `model`, as MAE has it, its keys with or without a wrapper's `module.` or `model.` before them), a `.npz`
            of Google's layout, or `bundled:NAME` for one that comes with nplight.

    Raises:
        CheckpointError: the file is missing, damaged, would run code, or is not of the model's architecture; every
            missing, unexpected and differently shaped weight is named.
    """
    if str(checkpoint).endswith(".npz"):
        _check_file(checkpoint)
        load_google_npz(model, Path(checkpoint))
        return
    weights = read_weights(checkpoint)
    shapes = [{name: tuple(value.shape) for name, value in one.items()} for one in (weights, model.state_dict())]
    check_fits(checkpoint, *shapes)
    model.load_state_dict(weights)


def read_weights(checkpoint: str | Path) -> dict[str, Tensor]:
    """The state dict that a checkpoint holds; arguments and errors as `load_weights`."""
    name = str(checkpoint)
    if name.startswith(BUNDLED_PREFIX):
        resource = files("nplight.modules") / "bundled" / f"{name.removeprefix(BUNDLED_PREFIX)}.safetensors"
        if not resource.is_file():
            known = [file.name for file in (files("nplight.modules") / "bundled").iterdir()]
            names = sorted(BUNDLED_PREFIX + Path(file).stem for file in known if file.endswith(".safetensors"))
            raise CheckpointError(f"`checkpoint` must be a file or one of {listed(names)}, got {name}")
        with as_file(resource) as path:
            return _read_file(path)
    _check_file(checkpoint)
    return _read_file(Path(checkpoint))


def _check_file(checkpoint: str | Path) -> None:
    if not Path(checkpoint).is_file():
        raise CheckpointError(f"`checkpoint` must be a file that exists, got {checkpoint}")


def _read_file(path: Path) -> dict[str, Tensor]:
    content: Any
    try:
        if path.suffix == ".safetensors":
            content = safetensors.torch.load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files fail in a dozen ways
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"`checkpoint` {path} cannot be read as weights (it may be cut off, or hold more than weights): {reason}"
        ) from error
    for key in _NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"`checkpoint` {path} holds no state dict, neither alone nor under {listed(_NESTED)}")
    weights = dict(content)
    while prefix := next((one for one in _WRAPPERS if weights and all(name.startswith(one) for name in weights)), None):
        weights = {name.removeprefix(prefix): value for name, value in weights.items()}
    return weights
