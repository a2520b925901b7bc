"""Which attributes of callbacks the command line sets."""

from __future__ import annotations

from typing import ClassVar

__all__ = ["CommandLineSettings"]


class CommandLineSettings:
    """A callback that takes settings from the command line.

    The command line leaves all other callbacks alone: attributes of theirs that happen to have these names may mean
    something else.

    Attributes:
        command_line_settings: names of the settings that it takes, which are its attributes or arguments.
    """

    command_line_settings: ClassVar[frozenset[str]] = frozenset({"run_dir"})
