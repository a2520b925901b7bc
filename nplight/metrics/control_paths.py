"""The controls: paths of the same size that a search is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, Protocol

import torch
from torch import Tensor

from nplight.errors import ArgumentError
from nplight.metrics.random_paths import RandomPaths
from nplight.neurons import random_priority
from nplight.paths import CategoryPaths
from nplight.seeds import hashed_generator

ControlName = Literal["random", "other-category", "like-activation"]

_SMALLEST_BIN = 16


class ControlPaths(Protocol):
    """Paths that a search's category paths are compared with.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.metrics import CONTROLS, ControlSetting
        >>> labels = torch.tensor([0, 1])
        >>> paths = nplight.category_paths(torch.tensor([[[0], [2]], [[1], [3]]]), labels, num_classes=2)
        >>> setting = ControlSetting(widths=(4, 4), sizes=(1,), num_classes=2, seed=0)
        >>> CONTROLS["other-category"].make(setting).of({1: paths}, labels, draw=0)[1].tolist()
        [[[1], [3]], [[0], [2]]]
    """

    def of(self, paths: Mapping[int, CategoryPaths], labels: Tensor, draw: int) -> dict[int, Tensor]:
        """The paths of a draw.

        Args:
            paths: neurons per layer -> the category paths of the search.
            labels: (images,) int64.
            draw: its number, from 0 on.

        Returns:
            Neurons per layer -> (images, layers, neurons per layer) int64.
        """
        ...


@dataclass(frozen=True, slots=True)
class ControlSetting:
    """What controls are made from.

    Attributes:
        widths: neurons per layer.
        sizes: neurons per layer of the paths.
        num_classes: number of categories.
        seed: of all draws.
        activations: per layer (width,), the mean of each neuron over the discover images at the edited tokens; empty
            if no control needs them.

    Examples:
        >>> from nplight.metrics import ControlSetting
        >>> setting = ControlSetting(widths=(256, 256), sizes=(1, 5), num_classes=10, seed=0)
        >>> max(setting.sizes)
        5
    """

    widths: Sequence[int]
    sizes: Sequence[int]
    num_classes: int
    seed: int
    activations: Sequence[Tensor] = ()


class RandomControl:
    """Random neurons: one path per category and draw, nested over sizes, the same for every search."""

    def __init__(self, setting: ControlSetting) -> None:
        self._paths = RandomPaths(setting.widths, max(setting.sizes), seed=setting.seed)

    def of(self, paths: Mapping[int, CategoryPaths], labels: Tensor, draw: int) -> dict[int, Tensor]:
        """As `ControlPaths.of`."""
        neurons = self._paths.of(labels, draw)
        return {size: neurons[..., :size] for size in paths}


class OtherCategoryControl:
    """The path of another category: a random cyclic order of the categories per draw, each taking the next one's path.

    A cyclic order leaves no category its own path.
    """

    def __init__(self, setting: ControlSetting) -> None:
        if setting.num_classes < 2:
            raise ArgumentError("control 'other-category' needs at least two categories, got one; leave it out")
        self._setting = setting

    def of(self, paths: Mapping[int, CategoryPaths], labels: Tensor, draw: int) -> dict[int, Tensor]:
        """As `ControlPaths.of`."""
        generator = hashed_generator(self._setting.seed, draw)
        order = torch.randperm(self._setting.num_classes, generator=generator)
        others = torch.empty_like(order)
        others[order] = order.roll(-1)
        others = others.to(labels.device)[labels]
        return {size: category.of(others) for size, category in paths.items()}


class LikeActivationControl:
    """Random neurons of the same layer whose mean activation is of like size as that of the path's neurons.

    The neurons of a layer are ordered by the absolute value of their mean and cut into bins of equal length: 16
    neurons, or a power of two times that if a bin would hold more neurons of the path than others. A path's neurons
    are replaced by as many random neurons of the same bins that are not on the path.
    """

    def __init__(self, setting: ControlSetting) -> None:
        if 2 * max(setting.sizes) > min(setting.widths):
            raise ArgumentError(
                f"control 'like-activation' needs paths of at most half of a layer's {min(setting.widths)} neurons, "
                f"got {max(setting.sizes)} per layer; keep fewer neurons, or leave the control out"
            )
        self._setting = setting
        self._ranks = [mean.abs().cpu().argsort(stable=True).argsort() for mean in setting.activations]

    def of(self, paths: Mapping[int, CategoryPaths], labels: Tensor, draw: int) -> dict[int, Tensor]:
        """As `ControlPaths.of`."""
        distinct, positions = labels.cpu().unique(return_inverse=True)
        found: dict[int, list[Tensor]] = {size: [] for size in paths}
        for category in distinct.tolist():
            generator = hashed_generator(self._setting.seed, draw, category)
            priority = random_priority(1, self._setting.widths, generator)
            for size, category_paths in paths.items():
                neurons = category_paths.neurons[category].cpu()
                layers = [_like(*columns) for columns in zip(neurons, self._ranks, (one[0] for one in priority))]
                found[size].append(torch.stack(layers))
        return {size: torch.stack(of_size)[positions].to(labels.device) for size, of_size in found.items()}


def _like(neurons: Tensor, ranks: Tensor, priority: Tensor) -> Tensor:
    """Neurons of the bins of `neurons`, (K,), that are not among them, of least priority; ranks, priority (width,).

    A neuron that `neurons` repeat counts once; the last neuron of the result is then repeated instead.
    """
    width, length = len(ranks), _SMALLEST_BIN
    on_path = torch.zeros(width, dtype=torch.bool)
    on_path[neurons] = True
    while True:
        bins = ranks // length
        wanted = bins[on_path].bincount(minlength=-(-width // length))
        if bool((wanted <= bins[~on_path].bincount(minlength=len(wanted))).all()):
            break
        length *= 2
    chosen = [
        members[priority[members].argsort(stable=True)[:count]]
        for number, count in enumerate(wanted.tolist())
        if count
        for members in [((bins == number) & ~on_path).nonzero().flatten()]
    ]
    distinct = torch.cat(chosen)
    return torch.cat([distinct, distinct[-1:].expand(len(neurons) - len(distinct))])


@dataclass(frozen=True, slots=True)
class Control:
    """A control and its properties.

    Attributes:
        make: makes its paths.
        drawn: whether its paths depend on no search, so that one measurement is the control of all searches.
        gathers: whether it needs the mean activation of every neuron over the discover images.
    """

    make: Callable[[ControlSetting], ControlPaths]
    drawn: bool = False
    gathers: bool = False


CONTROLS: Mapping[str, Control] = MappingProxyType(
    {
        "random": Control(RandomControl, drawn=True),
        "other-category": Control(OtherCategoryControl),
        "like-activation": Control(LikeActivationControl, gathers=True),
    }
)
"""The controls by name."""
