"""Tensors in a safetensors file with a checksum, written atomically."""

from __future__ import annotations

import contextlib
import os
import secrets
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from nplight.errors import ArgumentError, described, listed

PathLike = str | os.PathLike[str]


def write_tensors(path: PathLike, tensors: Mapping[str, Tensor], kind: str) -> None:
    """Write tensors to a file, replacing an existing one.

    Args:
        path: of the file; its folder must exist.
        tensors: by name.
        kind: name of the type that they form, which `read_tensors` checks.

    Raises:
        ArgumentError: the file cannot be written; an existing file is unchanged.
    """
    target = _path(path)
    plain = {name: values.detach().cpu().clone().contiguous() for name, values in tensors.items()}
    data = save(plain, {"kind": kind, "checksum": _checksum(plain)})
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ArgumentError(f"`path` must be a file that can be written, but for {target}: {reason}") from error
    finally:
        with contextlib.suppress(OSError, ValueError):
            temporary.unlink()


def read_tensors(
    path: PathLike, names: Collection[str], kind: str, *, optional: Collection[str] = ()
) -> dict[str, Tensor]:
    """Read a file of `write_tensors` onto the CPU, without running code from it.

    Args:
        path: of the file.
        names: of the tensors that it must hold.
        kind: name of the type that they form.
        optional: names of those that it may hold.

    Raises:
        ArgumentError: the file is missing, damaged, or of another kind.
    """
    source = _path(path)
    if not source.is_file():
        raise ArgumentError(f"`path` must be a file that holds a {kind}, but there is no file {source}")
    try:
        with safe_open(source, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ArgumentError(
            f"`path` must be a file that holds a {kind}, but {source} cannot be read: {reason}"
        ) from error
    if metadata.get("kind") != kind:
        raise ArgumentError(f"`path` must be a file that holds a {kind}, but {source} was not written by {kind}.save")
    if metadata.get("checksum") != _checksum(tensors):
        raise ArgumentError(f"`path` must be an undamaged {kind}, but {source} is not what was written; write it again")
    if set(tensors) - set(optional) != set(names):
        raise ArgumentError(
            f"`path` must be a {kind} of this version of nplight, with {listed(sorted(names), 20)}, "
            f"but {source} has {listed(sorted(tensors), 20)}"
        )
    return tensors


def _path(path: PathLike) -> Path:
    if not isinstance(path, (str, os.PathLike)) or not str(path):
        raise ArgumentError(f"`path` must be the path of a file, got {described(path)}")
    return Path(path)


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """CRC-32 of names, dtypes, shapes and values."""
    checksum = 0
    for name in sorted(tensors):
        values = tensors[name]
        checksum = zlib.crc32(f"{name} {values.dtype} {tuple(values.shape)}".encode(), checksum)
        checksum = zlib.crc32(values.flatten().view(torch.uint8).numpy().data, checksum)
    return f"{checksum:08x}"
