"""The run folder: what a run leaves behind, each file whole or not there."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from nplight.errors import RunFolderError
from nplight.paths import CategoryPaths

SETTINGS = "settings.json"
PATHS = "paths"
CATEGORY_PATHS = "category_paths.json"
METRICS_JSON = "metrics.json"
METRICS_CSV = "metrics.csv"
SKIPPED = "skipped_files.csv"


class RunFolder:
    """A folder of results: `paths/`, `category_paths.json`, `metrics.json`, `metrics.csv`, `settings.json`.

    Args:
        path: where it is or will be.

    Raises:
        RunFolderError: something that is no folder stands there.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        blocking = next((part for part in (self.path, *self.path.parents) if part.exists()), None)
        if blocking is not None and not blocking.is_dir():
            raise RunFolderError(f"`run_dir` must be a folder, but {blocking} is a file; name another --run_dir")

    @property
    def parts(self) -> Path:
        """The folder of the Parquet parts."""
        return self.path / PATHS

    def claim(self, section: str, settings: Mapping[str, Any]) -> None:
        """Use the folder for a run with these settings: new, or a run with the very same to go on with.

        Args:
            section: what the settings are for, `search` or `evaluation`.
            settings: plain values.

        Raises:
            RunFolderError: it holds results of other settings, every difference listed, or cannot be written.
        """
        wanted = json.loads(json.dumps(settings))
        stored = self._read_json(SETTINGS) if (self.path / SETTINGS).exists() else {}
        if section in stored and stored[section] != wanted:
            raise RunFolderError(
                f"`run_dir` {self.path} already holds a run with other settings "
                f"({_differences(stored[section], wanted)}); name another --run_dir, or delete the folder"
            )
        if section not in stored and section == "search" and self.parts.exists() and any(self.parts.iterdir()):
            raise RunFolderError(
                f"`run_dir` {self.path} holds paths of an unknown run (no {SETTINGS}); name another --run_dir"
            )
        self.write(SETTINGS, _json({**stored, section: wanted}))

    def check_same(self, section: str, identity: Mapping[str, Any]) -> None:
        """Refuse a run whose settings differ from `identity`, that of the data at hand, where both say something.

        Raises:
            RunFolderError: every difference listed.
        """
        stored = self._read_json(SETTINGS).get(section, {})
        wanted = {name: value for name, value in json.loads(json.dumps(identity)).items() if name in stored}
        there = {name: stored[name] for name in wanted}
        if there != wanted:
            raise RunFolderError(
                f"the paths of {self.path} were found with other data ({_differences(there, wanted)}), so that images "
                f"they were found with could be tested; use the same data and split"
            )

    def write_category_paths(self, paths: Mapping[int, CategoryPaths], top_k: int) -> None:
        """Write the category paths of every number of neurons a layer."""
        content = {
            "top_k": top_k,
            "method": paths[top_k].method,
            "images": paths[top_k].images.tolist(),
            "paths": {
                str(size): {"neurons": found.neurons.tolist(), "votes": found.votes.tolist()}
                for size, found in paths.items()
            },
        }
        self.write(CATEGORY_PATHS, json.dumps(content) + "\n")

    def read_category_paths(self) -> tuple[dict[int, CategoryPaths], int]:
        """The category paths by number of neurons a layer, and the number of the path itself (`top_k`).

        Raises:
            RunFolderError: there are none, or they are damaged.
        """
        content = self._read_json(CATEGORY_PATHS)
        try:
            paths = {
                int(size): CategoryPaths(
                    torch.tensor(found["neurons"]),
                    torch.tensor(found["votes"], dtype=torch.float64),
                    torch.tensor(content["images"]),
                    content["method"],
                )
                for size, found in content["paths"].items()
            }
            return paths, int(content["top_k"])
        except (KeyError, TypeError, ValueError) as error:
            raise RunFolderError(f"{self.path / CATEGORY_PATHS} is damaged: {error}") from error

    def category_digest(self) -> str:
        """What tells these category paths from others.

        Raises:
            RunFolderError: there are none.
        """
        self._read_json(CATEGORY_PATHS)
        return hashlib.sha256((self.path / CATEGORY_PATHS).read_bytes()).hexdigest()[:16]

    def write_metrics(self, rows: Sequence[Mapping[str, Any]], header: Mapping[str, Any]) -> None:
        """Write one row a condition, as `metrics.json` (with `header`) and as `metrics.csv`."""
        self.write(METRICS_JSON, _json({**header, "conditions": list(rows)}))
        self._write_csv(METRICS_CSV, rows)

    def write_skipped(self, skipped: Sequence[tuple[str, str]]) -> None:
        """Write `skipped_files.csv`: files that could not be read, and why."""
        self._write_csv(SKIPPED, [{"file": file, "reason": reason} for file, reason in skipped])

    def write(self, name: str, text: str) -> None:
        """Write a text file, whole or not at all."""

        def write_text(path: Path) -> None:
            path.write_text(text, encoding="utf-8")

        write_whole(self.path / name, write_text)

    def _write_csv(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        def write_rows(path: Path) -> None:
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)

        write_whole(self.path / name, write_rows)

    def _read_json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        if not path.is_file():
            raise RunFolderError(f"{self.path} must be a run folder with {name}, but there is none")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RunFolderError(f"{path} is damaged: {error}") from error
        if not isinstance(content, dict):
            raise RunFolderError(f"{path} is damaged: it holds no JSON object")
        return content


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place in one step.

    Raises:
        RunFolderError: the folder cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise RunFolderError(f"`run_dir`: {path} cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2) + "\n"


def _differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    names = [name for name in {**stored, **wanted} if stored.get(name) != wanted.get(name)]
    return ", ".join(f"{name}: {stored.get(name)} there, {wanted.get(name)} now" for name in names)
