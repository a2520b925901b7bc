"""Folders of class folders: their categories, and the readable names of these."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path

from nplight.errors import ArgumentError, listed


def class_folders(argument: str, folder: Path) -> list[str]:
    """The sorted names of the class folders of `folder`, without hidden ones.

    Raises:
        ArgumentError: `folder` is not a folder or contains none; the message names `argument`.
    """
    if not folder.is_dir():
        got = "is a file" if folder.exists() else "does not exist"
        raise ArgumentError(f"`{argument}` must be a folder with a folder of images for each category; {folder} {got}")
    # Not `DirEntry.is_dir`, which fails for a link to itself.
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(".") and entry.is_dir())
    if not names:
        raise ArgumentError(
            f"`{argument}` must be a folder with a folder of images for each category; {folder} holds no folder"
        )
    return names


def read_class_names(file: Path, folders: Collection[str]) -> dict[str, str]:
    """The categories in the order of a text file.

    Args:
        file: one category per line: the name of its folder and optionally white space and a readable name.
        folders: the existing class folders.

    Returns:
        Folder -> readable name (else the folder's name), in the order of the file.

    Raises:
        ArgumentError: the file cannot be read, names a folder twice, omits one, or names a missing one.
    """
    if not file.is_file():
        raise ArgumentError(f"`class_names` must be a text file with one category per line, but {file} is none")
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise ArgumentError(f"`class_names` must be a text file in UTF-8, but {file} is not: {error}") from error
    parts = [_parse(line, folders) for line in lines if line]
    named = [folder for folder, _ in parts]
    twice = [folder for folder, count in Counter(named).items() if count > 1]
    problems = [f"names twice: {listed(twice, 20)}"] if twice else []
    problems += differences(named, folders)
    if problems:
        raise ArgumentError(f"`class_names` must name every class folder once, but {file} {'; '.join(problems)}")
    return dict(parts)


def differences(named: Collection[str], folders: Collection[str]) -> list[str]:
    """The differences between two sets of categories, as text; empty without any."""
    missing, unknown = sorted(set(folders) - set(named)), sorted(set(named) - set(folders))
    lacking = [f"lacks: {listed(missing, 20)}"] if missing else []
    return lacking + ([f"has, but there is no such class folder: {listed(unknown, 20)}"] if unknown else [])


def _parse(line: str, folders: Collection[str]) -> tuple[str, str]:
    if line in folders:  # a folder's name may contain spaces
        return line, line
    folder, *name = line.split(maxsplit=1)
    return folder, name[0] if name else folder
