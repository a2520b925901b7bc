"""Finding the state dict in a checkpoint: training programs nest it under keys and prefix its names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from nplight.vit.torch_private import COMPILED_PREFIX

WRAPS = (
    "state_dict", "model", "model_state_dict", "net", "network", "module", "weights", "params",
    "ema", "model_ema", "ema_model", "state_dict_ema", "ema_state_dict", "student", "teacher",
)  # fmt: skip
"""Keys under which training programs store weights, in order of preference: averaged weights after plain ones."""

_PREFIXES = ("model.", "module.", "backbone.", "net.", "network.", "vit.", "encoder.")
_DEEPEST = 3  # a pickle may contain itself


@dataclass(frozen=True, slots=True)
class StateDict:
    """The state dict of a checkpoint.

    Attributes:
        weights: by name, without known prefixes.
        wrap: the keys above the state dict, outermost first.
        others: further keys with a state dict that was not used.
        dropped: prefixes that were removed from the names.
    """

    weights: dict[str, Tensor]
    wrap: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    def describe(self) -> str:
        """The keys above the weights and the removed prefixes, as text; empty without any."""
        parts = [f"weights under `{'.'.join(self.wrap)}`"] if self.wrap else []
        if self.dropped:
            parts.append(f"names without {', '.join(f'`{part}`' for part in self.dropped)}")
        return ", ".join(parts)


def find_weights(content: object, names: Collection[str] = ()) -> StateDict | None:
    """Find the state dict in the content of a checkpoint; `None` if there is none.

    Args:
        content: a state dict, alone or under keys of `WRAPS`.
        names: the names of the model's weights; if the weights have these names no prefix is removed.
    """
    wrap: list[str] = []
    others: list[str] = []
    while not _is_state_dict(content):
        inside = [key for key in WRAPS if isinstance(content, Mapping) and _holds_weights(content.get(key))]
        if not inside or len(wrap) == _DEEPEST:
            return None
        others += [".".join([*wrap, key]) for key in inside[1:]]
        wrap.append(inside[0])
        content = content[inside[0]]  # type: ignore[index]
    weights, dropped = _renamed(dict(content), names)  # type: ignore[call-overload]
    return StateDict(weights, tuple(wrap), tuple(others), dropped)


def _is_state_dict(content: object) -> bool:
    return isinstance(content, Mapping) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    )


def _holds_weights(content: object, depth: int = 1) -> bool:
    """Whether the content is a state dict with weights, or contains one under a known key."""
    if not isinstance(content, Mapping) or depth > _DEEPEST:
        return False
    if content and _is_state_dict(content):
        return True
    return any(_holds_weights(content.get(key), depth + 1) for key in WRAPS)


def _renamed(weights: dict[str, Any], names: Collection[str]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The weights without prefixes that all names share, and without the prefix of `torch.compile` anywhere."""
    dropped: list[str] = []
    shorter = {name.replace(COMPILED_PREFIX, ""): value for name, value in weights.items()}
    if shorter.keys() != weights.keys() and len(shorter) == len(weights) and not set(weights) <= set(names):
        weights = shorter
        dropped.append(COMPILED_PREFIX)
    while weights and not set(weights) <= set(names):
        prefix = next((prefix for prefix in _PREFIXES if all(name.startswith(prefix) for name in weights)), None)
        if prefix is None:
            break
        weights = {name.removeprefix(prefix): value for name, value in weights.items()}
        dropped.append(prefix)
    return weights, tuple(dropped)
