"""Time and memory of making the report of a large run: `python -m benchmarks.report`.

The rows are made up, those of the tests: 1,000 categories x 50 images, 12 layers of 3,072 neurons. A process of its own
makes the report, so that its memory is nobody else's.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import rich
import torch
from jsonargparse import auto_cli

from benchmarks.machine import machine
from tests.report.samples import write_run

_CODE = """
import json, resource, sys, time
start = time.perf_counter()
from nplight.report import write_report
imported = time.perf_counter()
page = write_report(sys.argv[1])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
seconds = {"import_seconds": imported - start, "seconds": time.perf_counter() - imported}
print(json.dumps({**seconds, "cpu_seconds": time.process_time(), "gib": peak, "page_mb": page.stat().st_size / 1e6}))
"""


def main(categories: int = 1000, images: int = 50, output: str | None = None) -> None:
    """Measure, print and, with `output`, write JSON.

    Args:
        categories: number of categories.
        images: of each.
        output: a JSON file for the figures.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_run(Path(folder), categories=categories, images=images, layers=12, width=3072, parts=20)
        done = subprocess.run([sys.executable, "-c", _CODE, folder], check=True, capture_output=True, text=True)
    measured = {name: round(value, 2) for name, value in json.loads(done.stdout).items()}
    found: dict[str, Any] = {**machine(torch.device("cpu")), "images": categories * images, **measured}
    rich.print(found)
    if output is not None:
        Path(output).write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
