"""A shard: one n-th of the images of a run, for jobs that know nothing of each other."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nplight.errors import ArgumentError, check_at_least, described


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """One of `count` shares of a run's images: whole batches of the run, one after another.

    Attributes:
        number: of the shard, from 0 to `count` - 1.
        count: number of shards.

    Raises:
        ArgumentError: a number is out of range.

    Examples:
        >>> from nplight.data import Shard
        >>> Shard.parse("0/8")
        Shard(number=0, count=8)
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        check_at_least("shard", self.count, 1)
        check_at_least("shard", self.number, 0)
        if self.number >= self.count:
            raise ArgumentError(
                f"`shard` must be i/n with i from 0 to n - 1, got {self}; the {self.count} shards are "
                f"0/{self.count} to {self.count - 1}/{self.count}"
            )

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard that `i/n` names.

        Raises:
            ArgumentError: the text is not of this form, or a number is out of range.
        """
        numbers = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text) if isinstance(text, str) else None
        if numbers is None:
            raise ArgumentError(f"`shard` must be i/n, such as 0/8 for the first of eight, got {described(text)}")
        return cls(int(numbers[1]), int(numbers[2]))

    def positions(self, images: int, batch_size: int) -> range:
        """Positions of the shard's images among all `images`.

        The shards have the same batches as a run without shards, so that rounding cannot tell them apart.

        Raises:
            ArgumentError: there are fewer batches than shards.
        """
        batches = -(-images // batch_size)
        if batches < self.count:
            raise ArgumentError(
                f"`shard` {self} must leave each shard a batch, but {images} images are {batches} batches of "
                f"{batch_size}; use at most {max(1, batches)} shards, or a smaller batch_size"
            )
        start, stop = (batches * number // self.count * batch_size for number in (self.number, self.number + 1))
        return range(start, min(stop, images))
