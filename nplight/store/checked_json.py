"""JSON files of a run folder, read and held against what they should hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nplight.errors import RunFolderError

if TYPE_CHECKING:
    from pydantic import TypeAdapter


def read_checked(path: Path, shape: TypeAdapter[Any], way_out: str) -> Any:
    """The contents of a JSON file.

    Args:
        path: the file.
        shape: what it should hold.
        way_out: what a person can do about a damaged one.

    Raises:
        RunFolderError: it cannot be read, it is no JSON, or it holds something else; naming the file and the place.
    """
    if not path.is_file():
        raise RunFolderError(f"{path} must be a file, but something else stands there; remove it, and {way_out}")
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror}; {way_out}") from error
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{path} cannot be read: {error}; {way_out}") from error
    check_content(path, content, shape, way_out)
    return content


def check_content(path: Path, content: Any, shape: TypeAdapter[Any], way_out: str) -> None:
    """Refuse contents of a file that are not as they should be; arguments and errors as `read_checked`."""
    from pydantic import ValidationError  # here, as it takes time that few commands should spend

    try:
        shape.validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))[:200] or "the whole"
        raise RunFolderError(f"{path} is damaged: {place}: {first['msg']}; {way_out}") from error
