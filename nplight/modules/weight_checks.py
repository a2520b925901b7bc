"""Checks that the weights of a file fit a model: by name, shape, kind and value."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from nplight.errors import CheckpointError, listed, printable

Shape = tuple[int, ...]
_MOST = 5


def check_fits(
    checkpoint: str | Path, stored: Mapping[str, Shape], expected: Mapping[str, Shape], *, resized: Collection[str] = ()
) -> None:
    """Refuse weights whose names or shapes are not exactly those of the model.

    Args:
        checkpoint: the file, for the message.
        stored: name and shape of each weight in the file.
        expected: name and shape of each weight of the model.
        resized: names whose shape may differ.

    Raises:
        CheckpointError: the first missing, unexpected and differently shaped weights are named, all are counted.
    """
    problems = []
    if missing := [name for name in expected if name not in stored]:
        problems.append(f"missing {_few(missing)}")
    if unexpected := [name for name in stored if name not in expected]:
        problems.append(f"unexpected {_few(unexpected)}")
    if reshaped := [
        f"{short(name)} {tuple(stored[name])} for {tuple(shape)}"
        for name, shape in expected.items()
        if name in stored and name not in resized and tuple(stored[name]) != tuple(shape)
    ]:
        problems.append(f"of another shape {listed(reshaped, _MOST)}")
    if problems:
        raise CheckpointError(
            f"`checkpoint` {checkpoint} does not fit the model: {'; '.join(problems)} "
            f"({len(stored)} weights, the model has {len(expected)})"
        )


def check_values(argument: str, weights: Mapping[str, Tensor]) -> None:
    """Refuse weights that are not dense tensors or contain NaN or infinite values.

    Args:
        argument: name of the weights in the message, e.g. "`checkpoint` weights.pth".
        weights: by name.

    Raises:
        CheckpointError: the first of them are named, all are counted.
    """
    if empty := [name for name, value in weights.items() if value.is_meta or value.layout != torch.strided]:
        raise CheckpointError(f"{argument} must hold dense tensors, but these are meta or sparse: {_few(empty)}")
    if non_finite := [name for name, value in weights.items() if not _finite(value)]:
        raise CheckpointError(
            f"{argument} must hold finite weights, but NaN or infinite values are in {_few(non_finite)}; "
            f"take a checkpoint from before the training diverged"
        )


def check_kinds(checkpoint: str | Path, stored: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Refuse weights that loading would convert between integer, real and complex; both mappings have the same names.

    Raises:
        CheckpointError: the first of them are named, all are counted.
    """
    if other := [f"{name} ({stored[name].dtype})" for name in expected if _kind(stored[name]) != _kind(expected[name])]:
        raise CheckpointError(
            f"`checkpoint` {checkpoint} must hold weights of the model's kind of numbers, but these are of another: "
            f"{_few(other)}; convert them (quantised weights need their scales) before they are saved"
        )


def _kind(value: Tensor) -> tuple[bool, bool, bool]:
    return value.is_floating_point(), value.is_complex(), value.is_quantized


def _finite(value: Tensor) -> bool:
    # 8-bit formats do not support `isfinite`.
    return bool(torch.isfinite(value.float() if value.element_size() == 1 else value).all())


def _few(names: Iterable[str]) -> str:
    """The first names, shortened and on one line, and the number of further ones."""
    return listed((short(name) for name in names), _MOST)


def short(name: object, limit: int = 80) -> str:
    """A name from a file, on one line, truncated to `limit` characters."""
    text = printable(str(name))
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
