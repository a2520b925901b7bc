from __future__ import annotations

import pytest

from nplight.data import DigitsDataModule, Shard
from nplight.errors import ArgumentError


@pytest.mark.parametrize(("images", "batch_size", "count"), [(100, 8, 3), (64, 8, 8), (9, 1, 9), (7, 64, 1)])
def test_the_shards_have_every_batch_of_the_run_once(images: int, batch_size: int, count: int) -> None:
    shares = [Shard(number, count).positions(images, batch_size) for number in range(count)]
    assert [position for share in shares for position in share] == list(range(images))
    assert all(share.start % batch_size == 0 for share in shares)
    sizes = [-(-len(share) // batch_size) for share in shares]
    assert max(sizes) - min(sizes) <= 1


def test_a_shard_is_read_as_it_is_written() -> None:
    assert Shard.parse("3/8") == Shard(3, 8)
    assert str(Shard(3, 8)) == "3/8"


@pytest.mark.parametrize("text", ["8/8", "1", "a/b", "-1/8", "0/0", "1/8/2", ""])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ArgumentError, match="`shard` must be"):
        Shard.parse(text)


def test_more_shards_than_batches_are_refused() -> None:
    with pytest.raises(ArgumentError, match="100 images are 2 batches of 64; use at most 2 shards"):
        Shard(0, 3).positions(100, 64)


def test_a_module_gives_the_discover_images_of_its_shard_alone() -> None:
    data = DigitsDataModule(batch_size=64)
    discover = [sample["index"] for sample in data.splits()[0]]
    identity = data.identity()
    shares = []
    for number in range(3):
        data.shard = Shard(number, 3)
        (loader,) = data.val_dataloader()
        shares.append([int(index) for batch in loader for index in batch["index"]])
        assert data.identity() == identity
    assert [index for share in shares for index in share] == discover
