"""Functions and objects of a project that a configuration names."""

from __future__ import annotations

import functools
import importlib
import sys
from typing import Any

from nplight.errors import ArgumentError


def imported(name: str, argument: str, kind: str = "function") -> Any:
    """What a dotted name stands for; what comes with Python, e.g. `os.system`, is refused.

    Args:
        name: such as `my_project.data.unpack`.
        argument: that holds the name, for messages.
        kind: of object, for messages.

    Raises:
        ArgumentError: there is nothing of this name, or it is part of Python's standard library.
    """
    module, _, attribute = name.rpartition(".")
    foreign = f"`{argument}` must be a {kind} of a project, got {name!r}, which comes with Python; name one of yours"
    if module.partition(".")[0] in sys.stdlib_module_names:
        raise ArgumentError(foreign)
    try:
        value = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ArgumentError(f"`{argument}` must be the dotted name of a {kind}, got {name!r}: {error}") from error
    if callable(value) and _package(value) in sys.stdlib_module_names:
        raise ArgumentError(foreign)
    return value


def _package(function: Any) -> str:
    """The top-level package that defines a function, independent of the module it was imported from."""
    while isinstance(function, functools.partial):
        function = function.func
    module: str = getattr(function, "__module__", None) or type(function).__module__
    return module.partition(".")[0]
