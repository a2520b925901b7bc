"""Sums and lists over two real processes, and over one."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from nplight.processes import process_rank, sum_over_processes, values_of_processes


def values(rank: int) -> Tensor:
    return torch.arange(6).view(2, 3) * 10**rank


def results(rank: int) -> dict[str, object]:
    mine = values(rank)
    found = {"sum": sum_over_processes(mine), "values": values_of_processes(mine), "rank": process_rank()}
    assert torch.equal(mine, values(rank))
    return found


def run(rank: int, folder: str) -> None:
    # Not destroyed, for that hangs now and then under torch 2.6; it ends with the process.
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    torch.save(results(rank), f"{folder}/{rank}.pt")


def test_one_process_has_its_own_values() -> None:
    expected = {"sum": values(0), "values": values(0)[None], "rank": 0}
    torch.testing.assert_close(results(0), expected)


def test_two_processes_have_the_sum_and_the_values_of_both(tmp_path: Path) -> None:
    mp.start_processes(run, (str(tmp_path),), nprocs=2, start_method="fork")
    for rank in range(2):
        expected = {"sum": values(0) + values(1), "values": torch.stack([values(0), values(1)]), "rank": rank}
        torch.testing.assert_close(torch.load(tmp_path / f"{rank}.pt"), expected)
