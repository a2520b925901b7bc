"""The shards of a run as tasks of a Ray cluster, and then put together.

    pip install "nplight[ray]"
    python examples/ray_shards.py --shards 8 --gpus 1 --config configs/image_folder.yaml

Ray starts each shard where there is room, and again where a machine was lost: the shard then goes on where it stopped.
The data and the run folders must be on a disk that every machine sees; give paths from the root. On one machine without
a cluster Ray starts one by itself.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

# Under `uv run` Ray would install the project anew for every task, from a copy of the working folder.
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
import ray


@ray.remote(max_retries=5, retry_exceptions=True)
def search_shard(command: list[str], shard: str, run: str) -> str:
    """Search one shard in a process of its own; returns its run folder."""
    subprocess.run([*command, "--shard", shard, "--run_dir", run], check=True)
    return run


def main() -> None:
    """Search all shards, as many at a time as the cluster has room for, and merge them."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--shards", type=int, default=8, help="how many")
    parser.add_argument("--cpus", type=float, default=1, help="of each shard")
    parser.add_argument("--gpus", type=float, default=0, help="of each shard")
    parser.add_argument("--run_dir", type=Path, default=Path("runs/ray"), help="the folder of the whole run")
    chosen, options = parser.parse_known_args()
    program = [sys.executable, "-c", "from nplight.cli import main; main()"]
    place = search_shard.options(num_cpus=chosen.cpus, num_gpus=chosen.gpus)
    shards = [
        place.remote(
            [*program, "validate", *options],
            f"{number}/{chosen.shards}",
            str(chosen.run_dir.resolve() / f"shard-{number}-of-{chosen.shards}"),
        )
        for number in range(chosen.shards)
    ]
    subprocess.run([*program, "merge", *ray.get(shards), "--run_dir", str(chosen.run_dir)], check=True)


if __name__ == "__main__":
    main()
