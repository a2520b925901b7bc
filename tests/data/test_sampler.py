from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch.overrides.distributed import UnrepeatedDistributedSampler
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    WeightedRandomSampler,
)

from nplight.data import EachOnceSampler, check_each_once, shuffles
from nplight.errors import ArgumentError

DATA = list(range(11))


def share(monkeypatch: pytest.MonkeyPatch, images: int, rank: int, processes: int) -> list[int]:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: rank)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: processes)
    return list(EachOnceSampler(range(images)))


@given(st.integers(1, 40), st.integers(1, 40))
def test_the_shares_of_all_processes_are_the_images(images: int, processes: int) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        if images < processes:
            with pytest.raises(ArgumentError, match=f"loader of {images} images cannot be shared by {processes} proc"):
                share(monkeypatch, images, 0, processes)
            return
        shares = [share(monkeypatch, images, rank, processes) for rank in range(processes)]
    assert sorted(itertools.chain(*shares)) == list(range(images))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_alone_it_is_a_sequential_sampler() -> None:
    sampler = EachOnceSampler(DATA)
    assert list(sampler) == DATA
    assert len(sampler) == 11
    with pytest.raises(ArgumentError, match="loader of 0 images cannot be shared by 1 processes"):
        list(EachOnceSampler([]))


def distributed(cls: Callable[..., Any], processes: int, **options: Any) -> Any:
    return cls(DATA, num_replicas=processes, rank=0, **options)


@pytest.mark.parametrize(
    ("sampler", "reason"),
    [
        (distributed(DistributedSampler, 2), "gives 12 images to 2 processes where there are 11: it repeats 1, which"),
        (distributed(DistributedSampler, 3, drop_last=True), "gives 9 images to 3 processes .*it leaves some out"),
        (distributed(UnrepeatedDistributedSampler, 3), "shares its images between 3 processes, but there are 2"),
        (RandomSampler(DATA, replacement=True), "draws with replacement"),
        (WeightedRandomSampler([1.0] * 11, 11), "draws with replacement"),
    ],
)
@pytest.mark.parametrize("batched", [False, True])
def test_samplers_that_repeat_or_drop_images_are_refused(sampler: Any, reason: str, batched: bool) -> None:
    options = {"batch_sampler": BatchSampler(sampler, 4, False)} if batched else {"sampler": sampler}
    with pytest.raises(ArgumentError, match=f"the sampler of the test loader {reason}"):
        check_each_once(DataLoader(DATA, **options), 2, "test loader")


class Numbers(IterableDataset[int]):
    def __iter__(self) -> Any:
        return iter(DATA)


class Own(Sampler[int]):
    def __iter__(self) -> Any:
        return iter(DATA)


def test_a_loader_that_nothing_shares_out_is_warned_of() -> None:
    for loader in (DataLoader(DATA), DataLoader(DATA, shuffle=True), DataLoader(Numbers())):
        check_each_once(loader, 1, "test loader")
        with pytest.warns(UserWarning, match="the test loader has no sampler .* every image would count 3 times"):
            check_each_once(loader, 3, "test loader")


@pytest.mark.parametrize(
    "loader",
    [
        DataLoader(DATA, sampler=EachOnceSampler(DATA)),
        DataLoader(DATA[:10], sampler=DistributedSampler(DATA[:10], num_replicas=2, rank=0)),  # type: ignore[arg-type]
        DataLoader(DATA, sampler=distributed(UnrepeatedDistributedSampler, 2)),
        DataLoader(DATA, sampler=Own()),
        DataLoader(DATA, batch_sampler=[[1, 2], [3]]),
        DataLoader(DATA, batch_size=None, sampler=Own()),
        [DATA],
    ],
)
def test_the_others_are_let_through(loader: Any) -> None:
    check_each_once(loader, 2, "test loader")


class Custom(Sampler[int]):
    """A sampler as many projects write their own: torch does not know it, and it says what it does."""

    def __init__(self, shuffle: object) -> None:
        self.shuffle = shuffle

    def __iter__(self) -> Iterator[int]:
        return iter(DATA)

    def __len__(self) -> int:
        return len(DATA)


def in_batches(sampler: Any) -> DataLoader[Any]:
    return DataLoader(DATA, batch_sampler=BatchSampler(sampler, 4, drop_last=False))


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize(
    ("sampler", "expected"),
    [
        (RandomSampler(DATA), True),
        (WeightedRandomSampler([1.0] * 11, 11), True),
        (distributed(DistributedSampler, 2), True),
        (distributed(DistributedSampler, 2, shuffle=False), False),
        (Custom(True), True),
        (Custom(1), True),
        (Custom(False), False),
        (Custom(lambda: None), False),
        (SequentialSampler(DATA), False),
        (EachOnceSampler(DATA), False),
    ],
)
def test_a_loader_shuffles_where_one_of_its_samplers_does(sampler: Any, expected: bool, batched: bool) -> None:
    assert shuffles(in_batches(sampler) if batched else DataLoader(DATA, sampler=sampler)) is expected


def test_a_batch_sampler_that_says_so_shuffles_and_what_is_no_loader_does_not() -> None:
    batches = BatchSampler(SequentialSampler(DATA), 4, drop_last=False)
    batches.shuffle = True  # type: ignore[attr-defined]
    assert shuffles(DataLoader(DATA, batch_sampler=batches))
    assert not shuffles([DATA])
