from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nplight.data import ImageSample, SampledImages, stratified_choice
from nplight.errors import ArgumentError
from nplight.seeds import checksums, hashes

IMAGES = torch.rand(60, 1, 2, 2, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0] * 40 + [1] * 15 + [2] * 3 + [4] * 2)


def sample(order: Tensor, batch: int, size: int, seed: int = 0) -> SampledImages:
    chosen = ImageSample(size, seed=seed)
    for part in order.split(batch):
        chosen.update(IMAGES[part], LABELS[part], part, checksums(IMAGES[part]))
        assert len(chosen._images) <= size
    return chosen.share()


def by_hand(size: int, seed: int = 0) -> list[int]:
    """The first of each category, then the second of each, …, by a loop."""
    order = hashes(torch.arange(60), torch.tensor(checksums(IMAGES)), seed=seed).tolist()
    members = {
        label: sorted((label == LABELS).nonzero().flatten().tolist(), key=order.__getitem__) for label in range(5)
    }
    ranked = [(rank, order[index], index) for of_label in members.values() for rank, index in enumerate(of_label)]
    return sorted(index for _, _, index in sorted(ranked)[:size])


@pytest.mark.parametrize("size", [1, 3, 8, 20, 59, 60, 100])
@pytest.mark.parametrize("batch", [1, 7, 60])
def test_the_choice_is_stratified_and_independent_of_order_and_batches(size: int, batch: int) -> None:
    expected = by_hand(size)
    for order in (torch.arange(60), torch.arange(60).flip(0), torch.randperm(60)):
        share = sample(order, batch, size)
        assert share.index.tolist() == expected
        assert torch.equal(share.images, IMAGES[share.index])
        assert torch.equal(share.labels, LABELS[share.index])
        assert share.checksums.tolist() == checksums(share.images)
        assert share.total == len(share) == min(size, 60)


def test_the_seed_changes_the_choice() -> None:
    choices = {tuple(sample(torch.arange(60), 9, 8, seed).index.tolist()) for seed in range(5)}
    assert len(choices) == 5
    assert all(sorted(LABELS[list(choice)].tolist()) == [0, 0, 1, 1, 2, 2, 4, 4] for choice in choices)


def test_a_sample_is_split_in_batches() -> None:
    share = sample(torch.arange(60), 9, 10)
    parts = list(share.split(4, torch.device("cpu")))
    assert [len(part) for part in parts] == [4, 4, 2]
    assert torch.equal(torch.cat([part.index for part in parts]), share.index)


def test_no_image_held_keeps_its_batch_in_memory() -> None:
    chosen = ImageSample(2)
    chosen.update(IMAGES, LABELS, torch.arange(60), checksums(IMAGES))
    assert all(image.untyped_storage().nbytes() == image.nbytes for image in chosen._images)


def test_nothing_was_offered() -> None:
    share = ImageSample(3).share()
    assert (len(share), share.total, list(share.split(2, torch.device("cpu")))) == (0, 0, [])
    assert stratified_choice(torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64), 3).tolist() == []
    with pytest.raises(ArgumentError, match="`images` must be an integer of at least 1, got 0"):
        ImageSample(0)
