"""The best share of a ranking of neurons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from nplight.errors import ArgumentError, check_choice, described

Across = Literal["layer", "model"]

ACROSS: tuple[Across, ...] = ("layer", "model")


def top_share(scores: Sequence[Tensor], share: float, *, across: Across = "layer") -> list[Tensor]:
    """The neurons of largest score, for `shrink`.

    Args:
        scores: per layer (width,), finite; of equal ones the lower index is taken.
        share: of the neurons that are kept, in (0, 1]: rounded to whole neurons, at least one per layer.
        across: `layer`: the share of each layer; `model`: of all neurons together, so that the numbers differ by layer,
            which asks for scores that can be compared between layers.

    Returns:
        Per layer (K,) int64, ascending.

    Raises:
        ArgumentError: a score is missing or not finite, or the share is outside (0, 1] or keeps nothing.

    Examples:
        >>> import torch
        >>> from nplight.shrinking import top_share
        >>> scores = [torch.tensor([0.5, 0.1, 0.9, 0.2]), torch.tensor([5.0, 7.0, 6.0, 8.0])]
        >>> [layer.tolist() for layer in top_share(scores, 0.5)]
        [[0, 2], [1, 3]]
        >>> [layer.tolist() for layer in top_share(scores, 0.5, across="model")]
        [[2], [1, 2, 3]]
    """
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share <= 1:
        raise ArgumentError(
            f"`share` must be a fraction in (0, 1] (0.5 for half of the neurons), got {described(share)}"
        )
    check_choice("across", across, ACROSS)
    if not isinstance(scores, Sequence) or not scores or not all(isinstance(layer, Tensor) for layer in scores):
        raise ArgumentError(f"`scores` must be a list with one tensor (width,) per layer, got {described(scores)}")
    for layer, values in enumerate(scores):
        if values.ndim != 1 or not len(values) or not values.isfinite().all():
            raise ArgumentError(
                f"`scores` of layer {layer} must be one finite number per neuron, got {described(values)}"
            )
    orders = [values.argsort(descending=True, stable=True).cpu() for values in scores]
    counts = [max(1, round(share * len(order))) for order in orders]
    if across == "model":
        counts = _counts_across(scores, orders, share)
    return [order[:count].sort().values for order, count in zip(orders, counts)]


def _counts_across(scores: Sequence[Tensor], orders: Sequence[Tensor], share: float) -> list[int]:
    """How many neurons of each layer are among the best of the model, the best of each layer always."""
    best = torch.tensor([order[0] + start for order, start in zip(orders, _starts(orders))])
    together = torch.cat([values.detach().double().cpu() for values in scores])
    together[best] = float("inf")
    chosen = together.argsort(descending=True, stable=True)[: max(len(scores), round(share * len(together)))]
    layers = torch.cat([torch.full((len(order),), layer) for layer, order in enumerate(orders)])
    return layers[chosen].bincount(minlength=len(scores)).tolist()


def _starts(orders: Sequence[Tensor]) -> list[int]:
    return [sum(map(len, orders[:layer])) for layer in range(len(orders))]
