"""What a run must know of the loop that drives it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from nplight.data import ImageBatch, Shard
from nplight.errors import ArgumentError

DataPass = Callable[[str], Iterable[ImageBatch]]


@dataclass(frozen=True, slots=True)
class RunContext:
    """The surroundings of a run: a Trainer's, or those of a plain loop.

    Attributes:
        discover_pass: gives this process's discover images once more, batch by batch, for searches with granularity
            `category` and for fills that are gathered. Its argument says for what, for a progress bar. `None`: there is
            no such pass, and what needs one is refused.
        forward_context: makes the context in which the model runs: autocast, for example.
        precision: what the run folder's settings call the precision; `None`: the dtype of the weights.
        data: what else the results depend on, as plain values: the identity of the data, limits of the loader.
        skipped: files that the data left out, and why.
        shard: the share of the images that the loop gives; `None`: all.

    Examples:
        >>> from nplight.runs import RunContext
        >>> RunContext(precision="bf16-mixed").precision
        'bf16-mixed'
    """

    discover_pass: DataPass | None = None
    forward_context: Callable[[], AbstractContextManager[Any]] = nullcontext
    precision: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    skipped: Sequence[tuple[str, str]] = ()
    shard: Shard | None = None


def check_discover_pass(context: RunContext, purpose: str) -> DataPass:
    """The further pass over the discover images.

    Args:
        context: of the loop.
        purpose: what needs it, for the message.

    Raises:
        ArgumentError: the loop gives none.
    """
    if context.discover_pass is None:
        raise ArgumentError(f"`context` must have a `discover_pass`, which {purpose} needs; got none")
    return context.discover_pass


def discover_pass(context: RunContext, purpose: str) -> Iterator[ImageBatch]:
    """This process's discover images once more.

    Args:
        context: of the loop.
        purpose: what the pass is for, for a progress bar.

    Raises:
        ArgumentError: the loop gives no further pass.
    """
    yield from check_discover_pass(context, purpose)(purpose)
