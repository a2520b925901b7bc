"""What a run folder holds, as far as it holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch

from nplight.errors import ArgumentError, RunFolderError
from nplight.paths import CategoryPaths, check_neurons
from nplight.store import PathTable, RunFolder, part_files, read_paths
from nplight.store.atomic_write import remove
from nplight.store.file_names import ABOUT, CATEGORY_PATHS, METRICS_JSON, PICTURES, SELECTIVITY, SETTINGS, WAYS_OUT
from nplight.store.json_files import check_shape, read_json

_KINDS = (
    ("settings", SETTINGS),
    ("metrics", METRICS_JSON),
    ("selectivity", SELECTIVITY),
    ("about", ABOUT),
    ("pictures", PICTURES),
)


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run; what it does not hold is empty or `None`.

    Attributes:
        path: its folder.
        settings: of the search, of each method as `search METHOD`, and of the evaluation.
        metrics: the contents of `metrics.json`.
        selectivity: of `selectivity.json`.
        about: of `run.json`.
        pictures: of `pictures.json`.
        paths: method -> neurons a layer -> category paths.
        top_k: neurons a layer of the path itself.
        table: the image paths.
        names: of the categories, by their number.
        widths: neurons in each layer, as far as they are known.
    """

    path: Path
    settings: Mapping[str, Any]
    metrics: Mapping[str, Any]
    selectivity: Mapping[str, Any]
    about: Mapping[str, Any]
    pictures: Mapping[str, Any]
    paths: Mapping[str, Mapping[int, CategoryPaths]]
    top_k: int
    table: PathTable | None
    names: tuple[str, ...]
    widths: tuple[int, ...]

    @property
    def methods(self) -> list[str]:
        """The searches that were compared, the first of them the main one."""
        return list(self.metrics.get("methods", self.paths)) or list(self.table.searches if self.table else ())

    @property
    def rows(self) -> int:
        """How many image paths there are, of all searches."""
        return 0 if self.table is None else len(self.table)

    def image_paths(self, search: str) -> PathTable:
        """The image paths of a search.

        Raises:
            ArgumentError: the run has none.
        """
        if self.table is None:
            raise ArgumentError(
                f"`run` must have image paths, but {self.path} has none; validate or predict makes them"
            )
        return self.table.where(search=search)

    def category_paths(self, method: str) -> CategoryPaths | None:
        """The path of each category by a method."""
        sizes = self.paths.get(method)
        return None if not sizes else sizes.get(min(self.top_k, max(sizes)))


def read_run(directory: str | Path) -> Run:
    """Read a run folder.

    Args:
        directory: the run folder.

    Raises:
        RunFolderError: it holds neither paths nor metrics, or one of its files is damaged.
    """
    folder = RunFolder(directory)
    found = {name: _read(name, folder.path / file) for name, file in _KINDS}
    stored = bool(part_files(folder))
    if not stored and not found["metrics"]:
        raise RunFolderError(f"{folder.path} must be a run folder with paths/ or metrics.json, but it has neither")
    paths, top_k = folder.read_category_paths() if (folder.path / CATEGORY_PATHS).exists() else ({}, 1)
    table = read_paths(folder.path) if stored else None
    run = Run(
        path=folder.path,
        paths=paths,
        top_k=top_k,
        table=table,
        names=_names(found, paths, table),
        widths=_widths(found["about"], paths, table),
        **found,
    )
    _refuse_disagreeing(run)
    return run


def discard_damaged(directory: str | Path) -> None:
    """Remove what the report's callback writes and cannot be read any more, so that it is written anew.

    Raises:
        RunFolderError: it cannot be removed.
    """
    for name, file in (("about", ABOUT), ("pictures", PICTURES)):
        path = Path(directory) / file
        try:
            _read(name, path)
        except RunFolderError:
            remove(path)


def read_about(directory: str | Path) -> dict[str, Any]:
    """The contents of `run.json`; empty where there is none.

    Raises:
        RunFolderError: it is damaged.
    """
    return _read("about", Path(directory) / ABOUT)


def _read(name: str, path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    from nplight.report.run_shapes import SHAPES  # here, as they take time that few commands should spend

    content: dict[str, Any] = read_json(path)
    check_shape(path, content, SHAPES[name])
    return content


def _refuse_disagreeing(run: Run) -> None:
    """Refuse files that cannot be of one run: with other layers, neurons or categories than the category paths."""
    whole = [one for sizes in run.paths.values() for one in sizes.values()]
    layers = {one.neurons.shape[1] for one in whole}
    if layers - {len(run.widths)}:
        _disagree(run, ABOUT, f"it has widths of {len(run.widths)} layers, and category_paths.json paths of {layers}")
    for one in whole:
        try:
            check_neurons(one.neurons, run.widths)
        except ArgumentError as error:
            _disagree(run, ABOUT, f"its widths are not those of the neurons of category_paths.json ({error})")
    accuracy = run.selectivity.get("accuracy", ())
    if accuracy and len(accuracy) != len(run.names):
        _disagree(run, SELECTIVITY, f"it has {len(accuracy)} categories, and the run {len(run.names)}")


def _disagree(run: Run, file: str, what: str) -> NoReturn:
    raise RunFolderError(f"{run.path / file} is damaged, or of another run: {what}; {WAYS_OUT[file]}")


def _names(
    found: Mapping[str, Mapping[str, Any]], paths: Mapping[str, Mapping[int, CategoryPaths]], table: PathTable | None
) -> tuple[str, ...]:
    """The names that were given, and numbers for the categories beyond them."""
    given = tuple(map(str, found["about"].get("names") or ()))
    counts = [len(one) for sizes in paths.values() for one in sizes.values()]
    counts.append(int(found["settings"].get("search", {}).get("categories", 0)))
    if not any(counts) and table is not None:
        counts.append(max(int(torch.as_tensor(table[name]).max()) for name in ("label", "prediction")) + 1)
    return given + tuple(str(number) for number in range(len(given), max(counts)))


def _widths(
    about: Mapping[str, Any], paths: Mapping[str, Mapping[int, CategoryPaths]], table: PathTable | None
) -> tuple[int, ...]:
    """As the run tells them; else as many as the neurons that were chosen need."""
    if about.get("widths"):
        return tuple(about["widths"])
    highest: Sequence[int] = ()
    for one in (one for sizes in paths.values() for one in sizes.values()):
        layers = one.neurons.amax((0, 2)).tolist()
        highest = [max(pair) for pair in zip(layers, highest or layers)]
    if table is not None:
        for method in table.searches:
            for rows in table.where(search=method).batches(["neurons"]):
                layers = rows["neurons"].amax((0, 2)).tolist()
                highest = [max(pair) for pair in zip(layers, highest or layers)]
    return tuple(neuron + 1 for neuron in highest)
