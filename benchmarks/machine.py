"""What the measurements ran on, and how fast that multiplies matrices."""

from __future__ import annotations

import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import timm
import torch


def machine(device: torch.device) -> dict[str, Any]:
    """The kind of machine, for people."""
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "machine": kind,
        "threads": torch.get_num_threads(),
        "load_at_start": None if not hasattr(os, "getloadavg") else round(os.getloadavg()[0], 1),
        "torch": torch.__version__,
        "timm": timm.__version__,
    }


def matrix_rate(device: torch.device, size: int = 2048, rounds: int = 9) -> float:
    """FLOPs a second of a float32 product of two square matrices, the median."""
    # Into memory that is there: taking it anew would be timed too.
    one, other, out = (torch.randn(size, size, device=device) for _ in range(3))
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        torch.mm(one, other, out=out)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / statistics.median(seconds)


def _processor() -> str:
    names = [line for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")]
    return f"{names[0].split(':')[1].strip() if names else platform.machine()}, {os.cpu_count()} cores"


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
