"""The processes of a run and what they share; without `torch.distributed` there is one process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, distributed

from nplight.errors import NplightError

Result = TypeVar("Result")


def sum_over_processes(values: Tensor, group: Any = None) -> Tensor:
    """The sum of the tensors of all processes; all must call it, with tensors of the same shape.

    torchmetrics' `gather_all_tensors` would hold one copy per process, too much memory for large tensors.

    Args:
        values: of this process; not modified.
        group: the processes that take part; `None`: all.
    """
    total = values.clone()
    if _initialized():
        distributed.all_reduce(total, group=group)
    return total


def values_of_processes(values: Tensor) -> Tensor:
    """The tensors of all processes in order of rank, (processes, …); all must call it, with small tensors."""
    if not _initialized():
        return values.unsqueeze(0)
    parts = [torch.empty_like(values) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, values)
    return torch.stack(parts)


def process_rank() -> int:
    """The rank of this process."""
    return distributed.get_rank() if _initialized() else 0


def process_count() -> int:
    """The number of processes."""
    return distributed.get_world_size() if _initialized() else 1


def objects_of_processes(value: Result) -> list[Result]:
    """The picklable values of all processes in order of rank; all must call it, and each waits for the others."""
    if not _initialized():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


def on_first_process(work: Callable[[], Result]) -> Result:
    """Run `work` in the first process and return its result, or raise its error, in all; all processes must call it.

    Raises:
        NplightError: `work` raised it.
    """
    outcome: list[Result | NplightError | None] = [None]
    if process_rank() == 0:
        try:
            outcome = [work()]
        except NplightError as error:
            outcome = [error]
    if _initialized():
        distributed.broadcast_object_list(outcome, 0)
    if isinstance(outcome[0], NplightError):
        raise outcome[0]
    return cast(Result, outcome[0])


def _initialized() -> bool:
    return distributed.is_available() and distributed.is_initialized()
