"""The errors that users meet, and the checks of single arguments that raise them.

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
    """Everything that nplight itself refuses."""


class ArgumentError(NplightError, ValueError):
    """An argument breaks a rule; raised before any work starts."""


class PositionError(ArgumentError, IndexError):
    """A position is none of those there are."""


class UnsupportedModelError(NplightError, TypeError):
    """The model is not of a family that `open_vit` can open exactly."""


class EditNotAppliedError(NplightError, RuntimeError):
    """An edit or a recording was asked for, and its site never ran."""


class CheckpointError(NplightError, ValueError):
    """A checkpoint is missing, damaged, or made for another model."""


class RunFolderError(NplightError, ValueError):
    """A run folder cannot be used: other settings, damaged, or not a run."""


class NonFiniteError(NplightError, ValueError):
    """NaN or infinite values appeared.

    Attributes:
        what: where they appeared.
        positions: the images in the batch, or in the data that were searched, counted from 0.
    """

    def __init__(self, what: str, positions: Sequence[int], *, of: str = "the batch") -> None:
        super().__init__(f"{what} for the images at positions {listed(positions)} of {of}")
        self.what = what
        self.positions = tuple(positions)


def listed(items: Iterable[object], limit: int = 8) -> str:
    """`items` joined by commas, on one line, at most `limit` of them and a count of the rest."""
    shown = [printable(str(item)) for item in items]
    rest = len(shown) - limit
    return ", ".join(shown[:limit]) + (f" and {rest} more" if rest > 0 else "")


def described(value: object, most: int = 100) -> str:
    """A value in one line: as it is written where that is short, else its type, a tensor's dtype and shape."""
    if isinstance(value, Tensor):
        shape = "nested" if value.is_nested else f"of shape {tuple(value.shape)}"
        return f"a {value.dtype} tensor {shape}"
    text = repr(value)
    plain = len(text) <= most and text.isprintable() and " at 0x" not in text
    return text if plain else f"a {type(value).__name__}"


def printable(text: str) -> str:
    """A text of any origin on one line: what is not printable, a line break or a terminal's code, is escaped."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def check_choice(argument: str, value: object, choices: Collection[str]) -> None:
    """Refuse a `value` that is none of `choices`."""
    if not isinstance(value, str) or value not in choices:
        names = ", ".join(repr(choice) for choice in choices)
        raise ArgumentError(f"`{argument}` must be one of {names}, got {described(value)}")


def check_at_least(argument: str, value: object, least: int) -> None:
    """Refuse a `value` that is no integer or is below `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ArgumentError(f"`{argument}` must be an integer of at least {least}, got {described(value)}")


def check_fraction(argument: str, value: object) -> None:
    """Refuse a `value` that is no number in [0, 1]."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ArgumentError(f"`{argument}` must be a fraction in [0, 1] (0.3 for 30%), got {described(value)}")


def check_dense(argument: str, value: Tensor) -> None:
    """Refuse a tensor without plain values: nested, sparse, quantized, or on the meta device."""
    kinds = {
        "nested": value.is_nested,
        "sparse": value.layout != torch.strided,
        "quantized": value.is_quantized,
        "on the meta device, without values": value.is_meta,
    }
    if found := [kind for kind, holds in kinds.items() if holds]:
        raise ArgumentError(f"`{argument}` must be a dense tensor that holds its values, got one that is {found[0]}")
