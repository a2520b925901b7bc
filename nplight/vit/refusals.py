"""Reasons not to open a model that several families share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from torch import nn


def overridden(model: nn.Module, known: type[nn.Module], methods: Sequence[str]) -> Iterator[str]:
    """A class derived from `known` with its own `methods`, which an adapter replays piece by piece."""
    names = [name for name in methods if getattr(type(model), name, None) is not getattr(known, name, None)]
    if names:
        yield f"its class overrides {', '.join(names)}"


def categories(model: Any) -> int:
    """How many categories a timm head tells apart; one that was replaced by hand leaves `num_classes` behind."""
    return model.head.out_features if isinstance(model.head, nn.Linear) else model.num_classes


def too_few(count: int) -> Iterator[str]:
    """A head that tells nothing apart."""
    if count < 2:
        yield (
            f"its head tells {count} categories apart, at least 2 are needed "
            f"(a backbone opens inside the module that holds its head)"
        )


def is_linear(module: object) -> bool:
    """Whether a module computes what its weight and bias say: one with a forward of its own (LoRA, say) may not."""
    return isinstance(module, nn.Linear) and type(module).forward is nn.Linear.forward and "forward" not in vars(module)


def merge_first(module: object) -> str:
    """What to do about a down projection that is no linear layer alone; empty unless an adapter (LoRA) wraps it."""
    if not isinstance(getattr(module, "base_layer", None), nn.Linear) and not hasattr(module, "lora_A"):
        return ""
    kind = type(module)
    return (
        f": it is a {kind.__module__}.{kind.__name__}, an adapter whose output is more than its weight says; "
        f"merge it into the weights first, with merge_and_unload() of peft"
    )


def other_blocks(blocks: Iterable[Any], known: type[nn.Module]) -> Iterator[str]:
    """A timm block of another class than `known`, or without a linear down projection `fc2`."""
    for layer, block in enumerate(blocks):
        if type(block) is not known:
            yield f"block {layer} is a {type(block).__name__}"
            return  # the others are alike
        down = getattr(block.mlp, "fc2", None)
        if not is_linear(down):
            kind = type(block.mlp).__name__
            yield f"the FFN of block {layer}, a {kind}, has no linear down projection `fc2`{merge_first(down)}"
            return
