"""Reading the JSON files of a run folder, and checking their shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nplight.errors import RunFolderError
from nplight.store.file_names import WAYS_OUT

if TYPE_CHECKING:
    from pydantic import TypeAdapter


def read_json(path: Path) -> Any:
    """The content of a JSON file, one of `WAYS_OUT`.

    Raises:
        RunFolderError: the path is not a file, cannot be read, or is not JSON.
    """
    way_out = WAYS_OUT[path.name]
    if not path.is_file():
        raise RunFolderError(f"{path} must be a file, but something else stands there; remove it, and {way_out}")
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror}; make it readable, or {way_out}") from error
    except (ValueError, RecursionError) as error:
        raise damaged(path, error) from error


def check_shape(path: Path, content: Any, shape: TypeAdapter[Any]) -> None:
    """Refuse content of the wrong shape.

    Args:
        path: the file, one of `WAYS_OUT`.
        content: of the file, from `read_json`.
        shape: the required shape.

    Raises:
        RunFolderError: naming the file and the first wrong entry.
    """
    from pydantic import ValidationError  # imported here: slow, and not needed by most commands

    try:
        shape.validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        entry = ".".join(map(str, first["loc"]))[:200] or "the whole"
        raise damaged(path, f"{entry}: {first['msg']}") from error


def damaged(path: Path, reason: object) -> RunFolderError:
    """The error for a damaged file, with the way out."""
    return RunFolderError(f"{path} is damaged: {reason}; {WAYS_OUT[path.name]}")
