"""The errors that nplight raises, and checks of single arguments.

A message names the argument, the rule, the value and the way out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import torch
from torch import Tensor

__all__ = [
    "ArgumentError",
    "CheckpointError",
    "EditNotAppliedError",
    "NonFiniteError",
    "NplightError",
    "PositionError",
    "RunFolderError",
    "UnsupportedModelError",
    "check_at_least",
    "check_choice",
    "check_dense",
    "check_fraction",
    "described",
    "listed",
    "printable",
]


class NplightError(Exception):
    """Base class of all errors that nplight raises.

    Examples:
        >>> import nplight
        >>> try:
        ...     nplight.read_paths("no/such/run")
        ... except nplight.NplightError as error:
        ...     print(type(error).__name__)
        RunFolderError
    """


class ArgumentError(NplightError, ValueError):
    """An argument breaks a rule; raised before work starts."""


class PositionError(ArgumentError, IndexError):
    """A position is out of range."""


class UnsupportedModelError(NplightError, TypeError):
    """The model is of no family that `open_vit` can open exactly.

    Examples:
        >>> import nplight
        >>> from torch import nn
        >>> try:
        ...     nplight.open_vit(nn.Linear(2, 2))
        ... except nplight.UnsupportedModelError as error:
        ...     print("refused")
        refused
    """


class EditNotAppliedError(NplightError, RuntimeError):
    """The site of an edit or a recording did not run."""


class CheckpointError(NplightError, ValueError):
    """A checkpoint is missing, damaged, or made for another model."""


class RunFolderError(NplightError, ValueError):
    """A run folder cannot be used: it has other settings, is damaged, or is not a run."""


class NonFiniteError(NplightError, ValueError):
    """NaN or infinite values occurred.

    Attributes:
        what: where they occurred.
        positions: of the images in the batch, or in the searched data, counted from 0.
    """

    def __init__(self, what: str, positions: Sequence[int], *, of: str = "the batch") -> None:
        super().__init__(f"{what} for the images at positions {listed(positions)} of {of}")
        self.what = what
        self.positions = tuple(positions)


def listed(items: Iterable[object], limit: int = 8) -> str:
    """The first `limit` items joined by commas, on one line, and the number of further ones."""
    texts = [printable(str(item)) for item in items]
    rest = len(texts) - limit
    return ", ".join(texts[:limit]) + (f" and {rest} more" if rest > 0 else "")


def described(value: object, limit: int = 100) -> str:
    """A value in one line: its representation if that is short, else its type; a tensor's dtype and shape."""
    if isinstance(value, Tensor):
        shape = "nested" if value.is_nested else f"of shape {tuple(value.shape)}"
        return f"a {value.dtype} tensor {shape}"
    text = repr(value)
    plain = len(text) <= limit and text.isprintable() and " at 0x" not in text
    return text if plain else f"a {type(value).__name__}"


def printable(text: str) -> str:
    """A text on one line, with line breaks and other unprintable characters escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def check_choice(argument: str, value: object, choices: Collection[str]) -> None:
    """Refuse a `value` that is not one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        names = ", ".join(repr(choice) for choice in choices)
        raise ArgumentError(f"`{argument}` must be one of {names}, got {described(value)}")


def check_at_least(argument: str, value: object, minimum: int) -> None:
    """Refuse a `value` that is not an integer or is below `minimum`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ArgumentError(f"`{argument}` must be an integer of at least {minimum}, got {described(value)}")


def check_fraction(argument: str, value: object) -> None:
    """Refuse a `value` that is not a number in [0, 1]."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ArgumentError(f"`{argument}` must be a fraction in [0, 1] (0.3 for 30%), got {described(value)}")


def check_dense(argument: str, value: Tensor) -> None:
    """Refuse a tensor that is nested, sparse, quantized, or on the meta device."""
    kinds = {
        "nested": value.is_nested,
        "sparse": value.layout != torch.strided,
        "quantized": value.is_quantized,
        "on the meta device, without values": value.is_meta,
    }
    if refused := [kind for kind, applies in kinds.items() if applies]:
        raise ArgumentError(f"`{argument}` must be a dense tensor that holds its values, got one that is {refused[0]}")
