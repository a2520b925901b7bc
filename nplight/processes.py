"""The processes of a run; a run without `torch.distributed` is one process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, distributed

from nplight.errors import NplightError

Result = TypeVar("Result")


def sum_over_processes(values: Tensor, group: Any = None) -> Tensor:
    """The sum of every process's tensor, the same on all of them and of the same shape; every process must call it.

    torchmetrics' `gather_all_tensors` holds one copy per process, for which large tensors leave no room.

    Args:
        values: of this process, left as it is.
        group: the processes that take part; `None`: all.
    """
    total = values.clone()
    if _several():
        distributed.all_reduce(total, group=group)
    return total


def values_of_processes(values: Tensor) -> Tensor:
    """The tensors of every process in order, (processes, …), for small ones; every process must call it."""
    if not _several():
        return values.unsqueeze(0)
    parts = [torch.empty_like(values) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, values)
    return torch.stack(parts)


def process_rank() -> int:
    """The number of this process."""
    return distributed.get_rank() if _several() else 0


def process_count() -> int:
    """How many processes there are."""
    return distributed.get_world_size() if _several() else 1


def objects_of_processes(value: Result) -> list[Result]:
    """A picklable value of every process in order; every process must call it, and none goes on before all have."""
    if not _several():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


def on_first_process(work: Callable[[], Result]) -> Result:
    """Work done once, whose result every process gets, or its refusal, so that none is left waiting.

    Every process must call it.

    Raises:
        NplightError: the work raised it.
    """
    outcome: list[Result | NplightError | None] = [None]
    if process_rank() == 0:
        try:
            outcome = [work()]
        except NplightError as error:
            outcome = [error]
    if _several():
        distributed.broadcast_object_list(outcome, 0)
    if isinstance(outcome[0], NplightError):
        raise outcome[0]
    return cast(Result, outcome[0])


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized()
