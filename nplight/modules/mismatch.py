"""Whether the weights of a file are those of a model: by name, shape and value."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from nplight.errors import CheckpointError, listed, printable

Shape = tuple[int, ...]
_MOST = 5


def check_fits(
    checkpoint: str | Path, found: Mapping[str, Shape], wanted: Mapping[str, Shape], *, resized: Collection[str] = ()
) -> None:
    """Refuse weights that are not exactly those that are wanted.

    Args:
        checkpoint: where they come from, for the message.
        found: name and shape of each weight there.
        wanted: name and shape of each weight of the model.
        resized: names whose shape may differ.

    Raises:
        CheckpointError: some missing, unexpected and differently shaped weights are named, all are counted.
    """
    problems = []
    if missing := [name for name in wanted if name not in found]:
        problems.append(f"missing {_few(missing)}")
    if unexpected := [name for name in found if name not in wanted]:
        problems.append(f"unexpected {_few(unexpected)}")
    if reshaped := [
        f"{short(name)} {tuple(found[name])} for {tuple(shape)}"
        for name, shape in wanted.items()
        if name in found and name not in resized and tuple(found[name]) != tuple(shape)
    ]:
        problems.append(f"of another shape {listed(reshaped, _MOST)}")
    if problems:
        raise CheckpointError(
            f"`checkpoint` {checkpoint} does not fit the model: {'; '.join(problems)} "
            f"({len(found)} weights, the model has {len(wanted)})"
        )


def check_values(argument: str, weights: Mapping[str, Tensor]) -> None:
    """Refuse weights that are no dense tensors or hold NaN or infinite values.

    Args:
        argument: what names them, for the message: "`checkpoint` weights.pth".
        weights: by name.

    Raises:
        CheckpointError: some of them are named, all are counted.
    """
    if empty := [name for name, value in weights.items() if value.is_meta or value.layout != torch.strided]:
        raise CheckpointError(f"{argument} must hold dense tensors, but these are meta or sparse: {_few(empty)}")
    if bad := [name for name, value in weights.items() if not _finite(value)]:
        raise CheckpointError(
            f"{argument} must hold finite weights, but NaN or infinite values stand in {_few(bad)}; "
            f"take a checkpoint from before the training diverged"
        )


def check_kinds(checkpoint: str | Path, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Refuse weights that loading would convert between whole, real and complex numbers; both of the same names.

    Raises:
        CheckpointError: some of them are named, all are counted.
    """
    if other := [f"{name} ({found[name].dtype})" for name in wanted if _kind(found[name]) != _kind(wanted[name])]:
        raise CheckpointError(
            f"`checkpoint` {checkpoint} must hold weights of the model's kind of numbers, but these are of another: "
            f"{_few(other)}; convert them (quantised weights need their scales) before they are saved"
        )


def _kind(value: Tensor) -> tuple[bool, bool, bool]:
    return value.is_floating_point(), value.is_complex(), value.is_quantized


def _finite(value: Tensor) -> bool:
    # Formats of 8 bits have no `isfinite` of their own.
    return bool(torch.isfinite(value.float() if value.element_size() == 1 else value).all())


def _few(names: Iterable[str]) -> str:
    """Some names, on one line and none of them long, and how many more there are."""
    return listed((short(name) for name in names), _MOST)


def short(name: object, most: int = 80) -> str:
    """A name from a file, on one line and at most so many characters long."""
    text = printable(str(name))
    return text if len(text) <= most else f"{text[: most - 3]}..."
