"""The loads of a training's neurons in a safetensors file: one tensor per epoch and layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from nplight.errors import ArgumentError
from nplight.store import write_whole


def write_loads(path: Path, loads: Mapping[int, Sequence[Tensor]]) -> None:
    """Write loads by epoch and layer, (width,) each, atomically.

    Raises:
        RunFolderError: the file cannot be written.
    """
    tensors = {f"{epoch}.{layer}": load for epoch, layers in loads.items() for layer, load in enumerate(layers)}
    data = safetensors.torch.save(tensors, {"kind": "loads"})
    write_whole(path, lambda file: file.write_bytes(data))


def read_loads(path: Path) -> dict[int, list[Tensor]]:
    """The loads in a file of `write_loads`.

    Raises:
        ArgumentError: there is no such file, or it is damaged.
    """
    try:
        tensors = safetensors.torch.load_file(path)
        numbers = sorted(tuple(map(int, name.split("."))) for name in tensors)
    except (OSError, SafetensorError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ArgumentError(
            f"`twin` must be 'before' or the run folder of a training with PathBurden, but {path} cannot be read: "
            f"{reason}"
        ) from error
    loads: dict[int, list[Tensor]] = {}
    for epoch, layer in numbers:
        loads.setdefault(epoch, []).append(tensors[f"{epoch}.{layer}"])
    return loads
