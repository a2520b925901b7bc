"""Random paths: the control with which paths are compared."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nplight.neurons import random_priority
from nplight.seeds import hashed_generator

_REMEMBERED = 1 << 12


class RandomPaths:
    """Random neurons in random order, a path for each draw and number, e.g. of a category.

    Paths of several sizes are nested: the first neurons of one order. An order depends on the seed, the draw and the
    number alone. Orders are made when they are asked for, and the last 4,096 are remembered, so that memory is
    independent of the number of categories.

    Args:
        widths: neurons per layer.
        size: neurons per layer of the largest path, at most those of the narrowest layer.
        seed: of all draws.

    Examples:
        >>> from nplight.metrics import RandomPaths
        >>> paths = RandomPaths((8, 8), 2, seed=0)
    """

    def __init__(self, widths: Sequence[int], size: int, *, seed: int = 0) -> None:
        self._widths = tuple(widths)
        self._size = size
        self._seed = seed
        self._orders: dict[tuple[int, int], Tensor] = {}

    def of(self, numbers: Tensor, draw: int) -> Tensor:
        """The paths of a draw: numbers (images,) int64 -> (images, layers, size) int64, on the device of `numbers`."""
        distinct, positions = numbers.cpu().unique(return_inverse=True)
        orders = torch.stack([self._order(draw, number) for number in distinct.tolist()])
        return orders[positions].long().to(numbers.device)

    def _order(self, draw: int, number: int) -> Tensor:
        key = (draw, number)
        if key not in self._orders:
            if len(self._orders) >= _REMEMBERED:
                del self._orders[next(iter(self._orders))]
            priorities = random_priority(1, self._widths, hashed_generator(self._seed, draw, number))
            chosen = [priority[0].topk(self._size, largest=False).indices for priority in priorities]
            self._orders[key] = torch.stack(chosen).int()
        return self._orders[key]
