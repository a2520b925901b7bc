"""Tensors of all processes of a run; a run without `torch.distributed` is one process."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed


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


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized()
