"""Each image once on any number of processes: a sampler that ensures it, and a check of other samplers."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch.utils.data import (
    DataLoader,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from nplight.errors import ArgumentError

_RANDOM = (RandomSampler, SubsetRandomSampler, WeightedRandomSampler)


class EachOnceSampler(DistributedSampler[Any]):
    """Gives each image to exactly one process, in order, without repeating or dropping images.

    It may be created before Lightning starts its processes, and `use_distributed_sampler` does not replace it. With one
    process it is a sequential sampler.

    Args:
        dataset: the images, at least as many as processes.

    Examples:
        >>> from torch.utils.data import DataLoader
        >>> from nplight.data import EachOnceSampler
        >>> numbers = list(range(5))
        >>> loader = DataLoader(numbers, batch_size=2, sampler=EachOnceSampler(numbers))
        >>> [batch.tolist() for batch in loader]
        [[0, 1], [2, 3], [4]]
    """

    def __init__(self, dataset: Sized) -> None:
        # Not the base class's, which needs the number of processes before they are started.
        self.images = dataset

    def __iter__(self) -> Iterator[int]:
        return iter(self._share())

    def __len__(self) -> int:
        return len(self._share())

    def set_epoch(self, epoch: int) -> None:
        """No effect: the order is fixed."""

    def _share(self) -> range:
        running = torch.distributed.is_available() and torch.distributed.is_initialized()
        rank, processes = (torch.distributed.get_rank(), torch.distributed.get_world_size()) if running else (0, 1)
        if len(self.images) < processes:
            raise ArgumentError(
                f"a loader of {len(self.images)} images cannot be shared by {processes} processes, of which some would "
                f"have none; run on at most {max(1, len(self.images))} devices, or give more images"
            )
        return range(rank, len(self.images), processes)


def shuffles(loader: Any) -> bool:
    """Whether a loader shuffles its images, judged by its samplers.

    Torch's random samplers shuffle, and so does any sampler or batch sampler whose `shuffle` is set.

    Examples:
        >>> from torch.utils.data import DataLoader
        >>> from nplight.data import shuffles
        >>> shuffles(DataLoader(range(4))), shuffles(DataLoader(range(4), shuffle=True))
        (False, True)
    """
    if not isinstance(loader, DataLoader):
        return False
    samplers = (loader.sampler, loader.batch_sampler, _sampler(loader))
    return any(isinstance(sampler, _RANDOM) or _is_set(sampler, "shuffle") for sampler in samplers)


def check_each_once(loader: Any, processes: int, name: str) -> None:
    """Refuse a loader that repeats or drops images, judged by its sampler.

    Args:
        loader: the iterable that Lightning uses.
        processes: number of processes that share the images.
        name: of the loader, for messages.

    Raises:
        ArgumentError: its sampler repeats or drops images.

    Warns:
        UserWarning: the images are not distributed between several processes.

    Examples:
        >>> from torch.utils.data import DataLoader
        >>> from nplight.data import EachOnceSampler, check_each_once
        >>> numbers = list(range(4))
        >>> check_each_once(DataLoader(numbers, sampler=EachOnceSampler(numbers)), 1, "discover")
    """
    if not isinstance(loader, DataLoader):
        return
    sampler = _sampler(loader)
    if isinstance(sampler, EachOnceSampler):
        return
    if isinstance(sampler, DistributedSampler):
        images, total = len(sampler.dataset), sampler.total_size  # type: ignore[arg-type]
        if total != images:
            wrong = f"repeats {total - images}, which would count twice" if total > images else "leaves some out"
            raise ArgumentError(
                f"the sampler of the {name} gives {total} images to {sampler.num_replicas} processes where there are "
                f"{images}: it {wrong}; give that loader sampler=nplight.data.EachOnceSampler(dataset)"
            )
        if sampler.num_replicas != processes:
            raise ArgumentError(
                f"the sampler of the {name} shares its images between {sampler.num_replicas} processes, but there are "
                f"{processes}; give that loader sampler=nplight.data.EachOnceSampler(dataset)"
            )
    elif getattr(sampler, "replacement", False):
        raise ArgumentError(
            f"the sampler of the {name} draws with replacement, so that images count more than once or not at all; "
            f"give that loader a sampler without"
        )
    elif processes > 1 and (
        isinstance(loader.dataset, IterableDataset) or type(sampler) in (SequentialSampler, RandomSampler)
    ):
        rank_zero_warn(
            f"the {name} has no sampler that shares its images out: unless each process has a data set of its own, "
            f"every image would count {processes} times; give it sampler=nplight.data.EachOnceSampler(dataset)"
        )


def _sampler(loader: DataLoader[Any]) -> Any:
    return loader.sampler if loader.batch_sampler is None else getattr(loader.batch_sampler, "sampler", None)


def _is_set(sampler: Any, name: str) -> bool:
    value = getattr(sampler, name, False)
    return not callable(value) and bool(value)
