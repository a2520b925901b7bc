"""The objectives: the function F of the logits whose change is attributed to neurons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, cast

import torch
from torch import Tensor

from nplight.errors import ArgumentError, check_choice

Objective = Literal["probability", "log-probability", "logit", "margin"]
ObjectiveFunction = Callable[[Tensor, Tensor], Tensor]


def target_probability(logits: Tensor, targets: Tensor) -> Tensor:
    """Softmax probability of the target: (images, categories), (images,) -> (images,); float32 at least.

    Examples:
        >>> import torch
        >>> from nplight.attribution import target_probability
        >>> target_probability(torch.zeros(1, 4), torch.tensor([2]))
        tensor([0.2500])
    """
    return cast(Tensor, _TargetProbability.apply(at_least_float32(logits), targets.unsqueeze(1)))


def target_log_probability(logits: Tensor, targets: Tensor) -> Tensor:
    """Logarithm of the target's softmax probability; shapes as `target_probability`."""
    return at_least_float32(logits).log_softmax(-1).gather(1, targets.unsqueeze(1)).squeeze(1)


def target_logit(logits: Tensor, targets: Tensor) -> Tensor:
    """Logit of the target; shapes as `target_probability`."""
    return at_least_float32(logits).gather(1, targets.unsqueeze(1)).squeeze(1)


def target_margin(logits: Tensor, targets: Tensor) -> Tensor:
    """Logit of the target minus the largest other logit; shapes as `target_probability`, two categories at least."""
    column = targets.unsqueeze(1)
    others = at_least_float32(logits).scatter(1, column, -torch.inf)
    return target_logit(logits, targets) - others.amax(1)


_FUNCTIONS: dict[str, ObjectiveFunction] = {
    "probability": target_probability,
    "log-probability": target_log_probability,
    "logit": target_logit,
    "margin": target_margin,
}

OBJECTIVES: Mapping[str, ObjectiveFunction] = MappingProxyType(_FUNCTIONS)
"""What is attributed, by name: `probability` is the paper's; the others do not saturate where it approaches 1."""


def check_objective(objective: str, num_classes: int | None = None) -> None:
    """Refuse an objective that there is not, or that a model has too few categories for.

    Raises:
        ArgumentError: naming the objectives, or the rule that is broken.

    Examples:
        >>> from nplight.attribution import check_objective
        >>> check_objective("margin", num_classes=10)  # two categories at least
    """
    check_choice("objective", objective, OBJECTIVES)
    if objective == "margin" and num_classes is not None and num_classes < 2:
        raise ArgumentError(
            f"`objective` 'margin' compares the target with the best other category and needs two categories at least, "
            f"got a model with {num_classes}; use 'logit'"
        )


def at_least_float32(values: Tensor) -> Tensor:
    """Half precision to float32; anything wider as it is.

    Examples:
        >>> import torch
        >>> from nplight.attribution import at_least_float32
        >>> at_least_float32(torch.zeros(1).half()).dtype, at_least_float32(torch.zeros(1).double()).dtype
        (torch.float32, torch.float64)
    """
    return values.to(torch.promote_types(values.dtype, torch.float32))


class _TargetProbability(torch.autograd.Function):
    """∂p_t/∂logits = p_t (e_t − p) in one step: with many categories autograd's would cost as much as a block."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        probability = logits.softmax(-1)
        ctx.save_for_backward(probability, targets)
        return probability.gather(1, targets).squeeze(1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        probability, targets = ctx.saved_tensors
        scale = gradients[0].unsqueeze(1) * probability.gather(1, targets)
        return (probability * -scale).scatter_add_(1, targets, scale), None
