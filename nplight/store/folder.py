"""The run folder: the result files of a run, each written atomically."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any

from nplight.errors import RunFolderError
from nplight.path_checks import Tokens
from nplight.paths import CategoryPaths
from nplight.store import lock
from nplight.store.atomic_write import leftovers, remove, write_whole
from nplight.store.category_file import from_json, to_json
from nplight.store.file_names import CATEGORY_PATHS, METRICS_CSV, METRICS_JSON, PATHS, RESULTS, SETTINGS, SHARD, SKIPPED
from nplight.store.json_files import check_shape, damaged, read_json

_FORMULA = ("=", "+", "-", "@", "\t", "\n")  # first characters of spreadsheet formulas


class RunFolder:
    """A folder of results: `paths/`, `category_paths.json`, `metrics.json`, `metrics.csv`, `settings.json`.

    From `claim` to `release` (or the end of a `with`, or of the process) no other process can claim it.

    Args:
        path: of the folder, which need not exist.

    Raises:
        RunFolderError: the path is not a folder.

    Examples:
        >>> import tempfile
        >>> from nplight.store import RunFolder
        >>> folder = RunFolder(tempfile.mkdtemp())
        >>> folder.write("note.txt", "a file appears whole or not at all")
        >>> sorted(path.name for path in folder.path.iterdir())
        ['note.txt']
    """

    def __init__(self, path: str | Path) -> None:
        if not _is_text(str(path)):
            raise RunFolderError(f"`run_dir` must be a name in UTF-8 without NUL, got {str(path)!r}")
        self.path = Path(path)
        self._holds = False
        try:
            blocking = next((part for part in (self.path, *self.path.parents) if part.exists()), None)
            blocked = blocking is not None and not blocking.is_dir()
        except OSError as error:
            raise RunFolderError(
                f"`run_dir` {self.path} cannot be used: {error.strerror}; name another --run_dir"
            ) from error
        if blocked:
            raise RunFolderError(f"`run_dir` must be a folder, but {blocking} is a file; name another --run_dir")

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def parts(self) -> Path:
        """The folder of the Parquet parts."""
        return self.path / PATHS

    def claim(self, section: str, settings: Mapping[str, Any], *, overwrite: bool = False) -> None:
        """Use the folder for a run with these settings: a new run, or one with equal settings to resume.

        The version of nplight is one of the settings. Only one process of a run calls this.

        Args:
            section: of the settings: `search`, a part of it such as `search jas`, or `evaluation`.
            settings: plain values.
            overwrite: remove the section's results and those that depend on them; files that no run writes are kept.

        Raises:
            RunFolderError: another run uses it, it holds results of other settings (every difference is listed), or
                it cannot be written.
        """
        if not self._holds:
            first = lock.acquire(self.path)
            self._holds = True
            for path in [*leftovers(self.path), *leftovers(self.parts)] if first else ():
                remove(path)
        try:
            self._settle(section, json.loads(json.dumps({"nplight": _version(), **settings})), overwrite)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let other runs claim the folder; repeated calls have no effect."""
        if self._holds:
            self._holds = False
            lock.release(self.path)

    def check_same(self, section: str, identity: Mapping[str, Any]) -> None:
        """Refuse a run whose settings differ from `identity`, that of the current data, in entries that both have.

        Raises:
            RunFolderError: every difference listed.
        """
        if differences := self.differences(section, identity):
            raise RunFolderError(
                f"the paths of {self.path} were found with other data ({differences}), so that images "
                f"they were found with could be tested; use the same data and split"
            )

    def differences(self, section: str, settings: Mapping[str, Any]) -> str:
        """The differences from the folder's settings in entries that both have, as text; empty without any.

        Raises:
            RunFolderError: the folder has no settings, or damaged ones.
        """
        stored = self.settings().get(section, {})
        current = {name: value for name, value in json.loads(json.dumps(settings)).items() if name in stored}
        return _differences({name: stored[name] for name in current}, current)

    def settings(self) -> dict[str, dict[str, Any]]:
        """The settings of the runs in the folder, by section.

        Raises:
            RunFolderError: the folder has no settings, or damaged ones.
        """
        sections = self._read(SETTINGS)
        if not all(isinstance(section, dict) for section in sections.values()):
            raise damaged(self.path / SETTINGS, "it holds no sections")
        return sections

    def search_fingerprint(self, name: str) -> str | None:
        """A digest of a search's settings, by which its parts are recognised.

        The settings include weights and data; those of a joint search also its images.

        Args:
            name: of the search, or of its rows of one size, `NAME@SIZE`.

        Returns:
            16 hexadecimal digits; `None` if no search has claimed the folder.

        Raises:
            RunFolderError: the settings are damaged.
        """
        stored = self.settings() if os.path.lexists(self.path / SETTINGS) else {}
        search = f"search {name.partition('@')[0]}"
        sections = {section: stored[section] for section in ("search", search, f"{search} images") if section in stored}
        if search not in sections:
            return None
        return hashlib.sha256(json.dumps(sections, sort_keys=True).encode()).hexdigest()[:16]

    def search_tokens(self, name: str) -> Tokens:
        """The tokens at which a search reads and edits neurons; `path` where the folder does not say.

        Args:
            name: of the search, or of its rows of one size, `NAME@SIZE`.

        Raises:
            RunFolderError: the settings are damaged.
        """
        stored = self.settings() if os.path.lexists(self.path / SETTINGS) else {}
        section = stored.get(f"search {name.partition('@')[0]}")
        return "all" if isinstance(section, dict) and section.get("tokens") == "all" else "path"

    def write_category_paths(self, paths: Mapping[str, Mapping[int, CategoryPaths]], top_k: int) -> None:
        """Write the category paths of every method, for every number of neurons per layer."""
        self.write(CATEGORY_PATHS, to_json(paths, top_k))

    def read_category_paths(self) -> tuple[dict[str, dict[int, CategoryPaths]], int]:
        """The category paths by method and number of neurons per layer, and `top_k`, the number of the path itself.

        Raises:
            RunFolderError: there are none, or they are damaged.
        """
        from nplight.store.category_shape import SHAPE  # imported here: slow, and not needed by most commands

        path = self.path / CATEGORY_PATHS
        content = self._read(CATEGORY_PATHS)
        check_shape(path, content, SHAPE)
        try:
            return from_json(content)
        except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
            raise damaged(path, error) from error

    def category_digest(self) -> str:
        """A digest of the category paths.

        Raises:
            RunFolderError: there are none.
        """
        self._read(CATEGORY_PATHS)
        return hashlib.sha256((self.path / CATEGORY_PATHS).read_bytes()).hexdigest()[:16]

    def write_metrics(self, rows: Sequence[Mapping[str, Any]], header: Mapping[str, Any]) -> None:
        """Write one row per condition, as `metrics.json` (with `header`) and as `metrics.csv`."""
        self.write(METRICS_JSON, _json({**header, "conditions": list(rows)}))
        self.write_csv(METRICS_CSV, rows)

    def write_shard(self, shard: str, images: str) -> None:
        """Write that a shard, `i/n`, has ended, and the digest of its images."""
        self.write(SHARD, _json({"shard": shard, "images": images}))

    def read_shard(self) -> dict[str, str] | None:
        """What `write_shard` wrote; `None`: nothing yet.

        Raises:
            RunFolderError: the file is damaged.
        """
        if not (self.path / SHARD).exists():
            return None
        content = self._read(SHARD)
        if not all(isinstance(content.get(name), str) for name in ("shard", "images")):
            raise damaged(self.path / SHARD, "it names no shard and images")
        return content

    def write_skipped(self, skipped: Sequence[tuple[str, str]]) -> None:
        """Write `skipped_files.csv`: files that could not be read, with the reason."""
        self.write_csv(SKIPPED, [{"file": file, "reason": reason} for file, reason in skipped])

    def write(self, name: str, text: str) -> None:
        """Write a text file in UTF-8, atomically."""
        write_whole(self.path / name, lambda path: path.write_bytes(text.encode(errors="backslashreplace")))

    def write_csv(self, name: str, rows: Iterable[Mapping[str, Any]], columns: Sequence[str] | None = None) -> None:
        """Write a table with a header, atomically; missing values are empty.

        A text that a spreadsheet would interpret as a formula is prefixed with `'`, which spreadsheets do not show.

        Args:
            name: of the file.
            rows: by column.
            columns: the columns, so that rows are written as they come; `None`: those of all rows.
        """
        if columns is None:
            rows = list(rows)
            columns = list(dict.fromkeys(name for row in rows for name in row))

        def write_rows(path: Path) -> None:
            # File names are bytes and may be invalid in every encoding.
            with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
                writer = csv.DictWriter(file, fieldnames=columns, lineterminator="\n")
                writer.writerow({name: _cell(name) for name in columns})
                writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)

        write_whole(self.path / name, write_rows)

    def _settle(self, section: str, settings: dict[str, Any], overwrite: bool) -> None:
        if overwrite:
            self._erase(section)
        stored = self.settings() if os.path.lexists(self.path / SETTINGS) else {}
        if section in stored and stored[section] != settings:
            raise RunFolderError(
                f"`run_dir` {self.path} already holds a run with other settings "
                f"({_differences(stored[section], settings)}); "
                f"name another --run_dir, or replace its results with --overwrite"
            )
        if section == "search" and section not in stored and any(self.parts.glob("part-*.parquet")):
            raise RunFolderError(
                f"`run_dir` {self.path} holds paths of an unknown run (no {SETTINGS}); "
                f"name another --run_dir, or replace its results with --overwrite"
            )
        if stored.get(section) != settings:
            self.write(SETTINGS, _json({**stored, section: settings}))

    def _erase(self, section: str) -> None:
        sections = list(RESULTS)
        erased = sections[sections.index(section) :] if section in sections else [section]
        for name in reversed(erased):
            for pattern in RESULTS.get(name, ()):
                for path in self.path.glob(pattern):
                    remove(path)
        try:
            stored = self.settings()
        except RunFolderError:
            stored = {}
        kept = [name for name in stored if name not in erased and name.partition(" ")[0] not in erased]
        self.write(SETTINGS, _json({name: stored[name] for name in kept}))

    def _read(self, name: str) -> dict[str, Any]:
        path = self.path / name
        if not path.exists():
            raise RunFolderError(f"{self.path} must be a run folder with {name}, but there is none")
        content = read_json(path)
        if not isinstance(content, dict):
            raise damaged(path, "it holds no JSON object")
        return content


def _is_text(name: str) -> bool:
    """Whether Parquet and the operating system accept a file's name."""
    try:
        return b"\0" not in name.encode()
    except UnicodeEncodeError:
        return False


def _version() -> str:
    try:
        return version("nplight")
    except PackageNotFoundError:
        return "not installed"


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = value.replace("\r", "\\r")  # `csv` does not quote it before Python 3.13, and it would end the row
    return f"'{text}" if text.startswith(_FORMULA) else text


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2) + "\n"


def _differences(stored: Any, current: Mapping[str, Any]) -> str:
    before = stored if isinstance(stored, dict) else {}
    names = [name for name in {**before, **current} if before.get(name) != current.get(name)]
    return ", ".join(f"{name}: {_short(before.get(name))} there, {_short(current.get(name))} now" for name in names)


def _short(value: object, limit: int = 100) -> str:
    text = str(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
