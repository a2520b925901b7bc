from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nplight.data import stratified_split
from nplight.errors import ArgumentError


@given(st.lists(st.integers(2, 30), min_size=1, max_size=6), st.floats(0.05, 0.95), st.integers(0, 1000))
def test_each_image_is_on_one_side_and_each_category_is_split_alike(
    counts: list[int], fraction: float, seed: int
) -> None:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]
    first, second = stratified_split(labels, fraction, seed=seed)
    assert sorted(first.tolist() + second.tolist()) == list(range(len(labels)))
    for category, count in enumerate(counts):
        size = int((labels[first] == category).sum())
        assert 1 <= size < count
        assert abs(size - fraction * count) <= 1
    assert torch.equal(stratified_split(labels, fraction, seed=seed)[0], first)


def test_a_category_is_split_the_same_whatever_the_others_are() -> None:
    alone = stratified_split(torch.full((20,), 3), 0.5, seed=1)[0]
    beside = stratified_split(torch.cat([torch.full((20,), 3), torch.arange(3).repeat(4)]), 0.5, seed=1)[0]
    assert beside[beside < 20].tolist() == alone.tolist()


def test_seeds_differ() -> None:
    labels = torch.zeros(50, dtype=torch.int64)
    assert stratified_split(labels, 0.5, seed=0)[0].tolist() != stratified_split(labels, 0.5, seed=1)[0].tolist()


@pytest.mark.parametrize(
    ("labels", "fraction", "num_classes", "reason"),
    [
        ([0, 0, 1, 2, 2, 3], 0.8, None, "at least 2 images to be split, but categories 1, 3 have one"),
        ([], 0.8, None, "`labels` must hold at least one image"),
        ([0, 0], 1.0, None, "`fraction` must be between 0 and 1, got 1.0"),
        ([0, 0, 2, 2], 0.8, 4, "every category must have at least 2 images .* categories 1, 3 have none"),
        ([0, 0, 4, 4], 0.8, 4, "`labels` must be in 0 … 3, got 4"),
    ],
)
def test_what_cannot_be_split_is_refused(
    labels: list[int], fraction: float, num_classes: int | None, reason: str
) -> None:
    with pytest.raises(ArgumentError, match=reason):
        stratified_split(torch.tensor(labels, dtype=torch.int64), fraction, seed=0, num_classes=num_classes)
