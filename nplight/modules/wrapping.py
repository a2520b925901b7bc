"""Where the weights stand in a checkpoint, and under which names: training programs wrap both."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

WRAPS = (
    "state_dict", "model", "model_state_dict", "net", "network", "module", "weights", "params",
    "ema", "model_ema", "ema_model", "state_dict_ema", "ema_state_dict", "student", "teacher",
)  # fmt: skip
"""Under which keys programs keep the weights, in the order they are looked for: averaged weights after plain ones."""

_PREFIXES = ("model.", "module.", "backbone.", "net.", "network.", "vit.", "encoder.")
_COMPILED = "_orig_mod."
_DEEPEST = 3  # a pickle may hold itself


@dataclass(frozen=True, slots=True)
class FoundWeights:
    """The state dict of a checkpoint.

    Attributes:
        weights: by the model's names, as far as the wrappers are known.
        wrap: the keys it stood under, outermost first.
        others: further keys that hold a state dict beside the one that was taken.
        dropped: what was taken out of the names.
    """

    weights: dict[str, Tensor]
    wrap: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    def describe(self) -> str:
        """Where they stood and what their names lost, for people; empty if neither is particular."""
        parts = [f"weights under `{'.'.join(self.wrap)}`"] if self.wrap else []
        if self.dropped:
            parts.append(f"names without {', '.join(f'`{part}`' for part in self.dropped)}")
        return ", ".join(parts)


def find_weights(content: object, wanted: Collection[str] = ()) -> FoundWeights | None:
    """Find the state dict in what a checkpoint holds, or `None`.

    Args:
        content: a state dict, alone or under some of `WRAPS`.
        wanted: the names of the model's weights; names that are among them lose nothing.
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
    weights, dropped = _renamed(dict(content), wanted)  # type: ignore[call-overload]
    return FoundWeights(weights, tuple(wrap), tuple(others), dropped)


def _is_state_dict(content: object) -> bool:
    return isinstance(content, Mapping) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    )


def _holds_weights(content: object, depth: int = 1) -> bool:
    """Whether something is a state dict with weights, or holds one under a known key."""
    if not isinstance(content, Mapping) or depth > _DEEPEST:
        return False
    if content and _is_state_dict(content):
        return True
    return any(_holds_weights(content.get(key), depth + 1) for key in WRAPS)


def _renamed(weights: dict[str, Any], wanted: Collection[str]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The weights without the wrappers that all names share, and `torch.compile`'s wherever it stands."""
    dropped: list[str] = []
    shorter = {name.replace(_COMPILED, ""): value for name, value in weights.items()}
    if shorter.keys() != weights.keys() and len(shorter) == len(weights) and not set(weights) <= set(wanted):
        weights = shorter
        dropped.append(_COMPILED)
    while weights and not set(weights) <= set(wanted):
        prefix = next((one for one in _PREFIXES if all(name.startswith(one) for name in weights)), None)
        if prefix is None:
            break
        weights = {name.removeprefix(prefix): value for name, value in weights.items()}
        dropped.append(prefix)
    return weights, tuple(dropped)
