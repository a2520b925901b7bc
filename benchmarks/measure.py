"""Time and peak memory of functions, alternating in one process."""

from __future__ import annotations

import ctypes
import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

_MIB = 1 << 20


@dataclass(frozen=True)
class Measured:
    """Medians over the rounds: seconds, and MiB beyond what was in use before (`None` where it cannot be read)."""

    seconds: float
    peak_mib: float | None


def measure(
    functions: Mapping[str, Callable[[], object]], *, rounds: int, device: torch.device, warm: bool = False
) -> dict[str, Measured]:
    """Run each function once to warm up, if they are not `warm`, then all in turn, `rounds` times.

    In its turn a function runs twice. The first run shows the memory and settles it: what the function before it used
    has gone back to the system, and taking it anew, page by page, is no part of the work. The second is timed.
    """
    for function in () if warm else functions.values():
        function()
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    memory: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            before = _reset_peak(device)
            function()
            peak = _peak(device)
            if before is not None and peak is not None:
                memory[name].append((peak - before) / _MIB)
            seconds[name].append(_time(function, device))
    return {
        name: Measured(statistics.median(seconds[name]), statistics.median(memory[name]) if memory[name] else None)
        for name in functions
    }


def _time(function: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _reset_peak(device: torch.device) -> int | None:
    """Forget the peak so far; memory in use now, in bytes."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    if not Path("/proc/self/clear_refs").exists():
        return None
    # What the C library keeps for later use is not in use.
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return _status("VmHWM") if Path("/proc/self/status").exists() else None


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))
