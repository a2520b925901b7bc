"""The command `merge RUN…`: the rows of shards, put together for the ordinary command to finish."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lightning_utilities.core.rank_zero import rank_zero_only

from nplight.command_options import program
from nplight.errors import RunFolderError
from nplight.runs import merge_shards
from nplight.store import RunFolder
from nplight.store.file_names import CONFIG

__all__ = ["merge_command"]


def merge_command(arguments: Sequence[str]) -> list[str]:
    """Put the rows of shards together in one run folder.

    Args:
        arguments: of the command line, after `merge`; those that it does not know are options of the command that
            follows, such as `--trainer.devices 8`.

    Returns:
        The command that the shards were started with, for the whole run: it finds every image stored, forms the
        category paths and evaluates them.

    Raises:
        RunFolderError: see `merge_shards`.
    """
    parser = argparse.ArgumentParser(
        prog=f"{program()} merge",
        description="Put the runs of --shard i/n together: their rows, then the category paths and their evaluation.",
        epilog="Further options are those of the command that the shards were started with, such as --trainer.devices.",
        allow_abbrev=False,
    )
    parser.add_argument("runs", metavar="RUN", nargs="+", help="the run folder of a shard")
    parser.add_argument("--run_dir", metavar="DIR", required=True, help="the folder of the results")
    parser.add_argument("--overwrite", action="store_true", help="replace the results in that folder")
    chosen, further = parser.parse_known_args(list(arguments))
    runs, merged = [RunFolder(run) for run in chosen.runs], RunFolder(chosen.run_dir)
    # Of several processes that a launcher starts, the first; the others meet it when the Trainer starts.
    if not rank_zero_only.rank:  # type: ignore[attr-defined]
        merge_shards(runs, merged, overwrite=chosen.overwrite)
    configuration = runs[0].path / CONFIG
    if not configuration.is_file():
        raise RunFolderError(f"{configuration} must be the configuration of the shard, but it is not there")
    command = runs[0].settings()["search"]["command"]
    return [command, "--config", str(configuration), "--run_dir", str(merged.path), "--shard", "null", *further]
