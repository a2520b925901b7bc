"""Reasons to refuse a model, shared by several families."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from torch import nn


def overridden(model: nn.Module, known: type[nn.Module], methods: Sequence[str]) -> Iterator[str]:
    """A class derived from `known` that overrides some of `methods`, which the family replays piece by piece."""
    names = [name for name in methods if getattr(type(model), name, None) is not getattr(known, name, None)]
    if names:
        yield f"its class overrides {', '.join(names)}"


def categories(model: Any) -> int:
    """The number of categories of a timm head; `num_classes` is not updated if the head is replaced."""
    return model.head.out_features if isinstance(model.head, nn.Linear) else model.num_classes


def too_few(count: int) -> Iterator[str]:
    """A head with fewer than two categories."""
    if count < 2:
        yield (
            f"its head has {count} categories, at least 2 are needed "
            f"(a backbone opens inside the module that holds its head)"
        )


def is_linear(module: object) -> bool:
    """Whether a module computes a linear map by its weight and bias, unlike one that overrides forward (LoRA)."""
    return isinstance(module, nn.Linear) and type(module).forward is nn.Linear.forward and "forward" not in vars(module)


def merge_first(module: object) -> str:
    """The way out for a down projection that is wrapped by an adapter (LoRA); empty for other modules."""
    if not isinstance(getattr(module, "base_layer", None), nn.Linear) and not hasattr(module, "lora_A"):
        return ""
    kind = type(module)
    return (
        f": it is a {kind.__module__}.{kind.__name__}, an adapter whose output depends on more than its weight; "
        f"merge it into the weights first, with merge_and_unload() of peft"
    )


def other_blocks(blocks: Iterable[Any], known: type[nn.Module]) -> Iterator[str]:
    """A timm block of another class than `known`, or without a linear down projection `fc2`."""
    for layer, block in enumerate(blocks):
        if type(block) is not known:
            yield f"block {layer} is a {type(block).__name__}"
            return  # the first refused block stands for all
        down = getattr(block.mlp, "fc2", None)
        if not is_linear(down):
            kind = type(block.mlp).__name__
            yield f"the FFN of block {layer}, a {kind}, has no linear down projection `fc2`{merge_first(down)}"
            return
