"""The command `nplight`: `train.py` of an installed package, with the callbacks for configuration files to name."""

from __future__ import annotations

import sys

from nplight.cli import main as run
from nplight.command_options import overview

__all__ = ["main"]


def main() -> None:
    """Run the command in `sys.argv`, as `train.py` does."""
    if sys.argv[1:2] in ([], ["-h"], ["--help"]):
        print(overview().strip())
        raise SystemExit(0 if sys.argv[1:] else 2)
    run()
