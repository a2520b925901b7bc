"""The base class of callbacks with settings that the command line sets."""

from __future__ import annotations

from typing import ClassVar

__all__ = ["CommandLineSettings"]


class CommandLineSettings:
    """A callback with settings from the command line.

    The command line does not set attributes of other callbacks, which may have other meanings.

    Attributes:
        command_line_settings: names of the settings, which are attributes or arguments of the callback.
    """

    command_line_settings: ClassVar[frozenset[str]] = frozenset({"run_dir"})
