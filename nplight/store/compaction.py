"""Compaction of a search's parts, if they are many, at the end of a run; a process may be killed at any of its steps.

The new parts are written to a hidden folder. Renaming it to `compacted-SEARCH` puts them in the place of the old ones:
from then on `part_files` lists them. Moving them up and removing the old ones may wait for the next run.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from nplight.store.atomic_write import cannot_write, remove, write_whole
from nplight.store.folder import RunFolder
from nplight.store.part_listing import COMPACTED, COMPACTING, REPLACED, replaced
from nplight.store.parts import Part, open_part, part_files
from nplight.store.path_table import PathTable
from nplight.store.sorted_parts import needs_compaction, write_sorted


def compact(run: RunFolder, search: str) -> None:
    """Write the parts of a search anew, sorted by index and of equal size, if they are many and not so yet.

    A finished run that is opened again is left as it is. Only one process of a run may call it, which has claimed the
    folder.

    Args:
        run: the run folder.
        search: name of the search.

    Raises:
        RunFolderError: an image is stored twice, a part is damaged, or the folder cannot be written.

    Examples:
        >>> import tempfile
        >>> import nplight
        >>> import torch
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.store import RunFolder, compact, part_files, write_part
        >>> planted, folder = build_planted(PLANTED["chain"]), RunFolder(tempfile.mkdtemp())
        >>> paths = nplight.search(planted.model, planted.images[:1], planted.labels[:1])
        >>> for number in range(4):
        ...     row = {"index": torch.tensor([number]), "files": ["x.png"], "labels": None, "checksums": [number]}
        ...     write_part(folder, paths, **row, search="jas")
        ...
        >>> compact(folder, "jas")
        >>> len(part_files(folder, "jas")), nplight.read_paths(folder.path)["index"].tolist()
        (4, [0, 1, 2, 3])
    """
    finish_compaction(run)
    files = part_files(run, search)
    with ThreadPoolExecutor() as pool:  # for file systems with high latency
        if not needs_compaction(list(pool.map(open_part, files))):
            return
        parts = list(pool.map(partial(open_part, check_data=True), files))
    PathTable(parts)  # refuses an image that is stored twice
    hidden = run.parts / f"{COMPACTING}{search}"
    names = write_sorted(parts, hidden, parts[0].fingerprint)
    if names is not None:
        put_in_place(run, search, names, parts)


def put_in_place(run: RunFolder, search: str, names: Sequence[str], parts: Sequence[Part]) -> None:
    """Put new parts, which are in the hidden folder of a search, in the place of `parts`, in one step.

    Raises:
        RunFolderError: the folder cannot be written.
    """
    hidden, committed = run.parts / f"{COMPACTING}{search}", run.parts / f"{COMPACTED}{search}"
    old = [part.path.name for part in parts if part.path.name not in names]
    content = json.dumps({"new": list(names), "old": old})
    write_whole(hidden / REPLACED, lambda path: path.write_text(content))
    try:
        os.rename(hidden, committed)
    except OSError as error:
        raise cannot_write(committed, error) from error
    finish_compaction(run)


def finish_compaction(run: RunFolder) -> None:
    """Finish what a killed process began, and remove new parts that were not put in place.

    Raises:
        RunFolderError: the folder cannot be written, or the list of the parts is damaged.

    Examples:
        >>> import tempfile
        >>> from nplight.store import RunFolder, finish_compaction
        >>> folder = RunFolder(tempfile.mkdtemp())
        >>> finish_compaction(folder)  # nothing was left behind
    """
    for hidden in run.parts.glob(f"{COMPACTING}*"):
        _remove_folder(hidden)
    for folder in run.parts.glob(f"{COMPACTED}*"):
        if (folder / REPLACED).is_file():
            new, old = replaced(folder)
            for name in new:
                _move_up(folder / name)
            for name in old:
                remove(run.parts / name)
        _remove_folder(folder)


def _move_up(path: Path) -> None:
    try:
        if path.exists():
            os.replace(path, path.parent.with_name(path.name))
    except OSError as error:
        raise cannot_write(path, error) from error


def _remove_folder(folder: Path) -> None:
    try:
        remove(folder / REPLACED)
        shutil.rmtree(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error
