"""The contents of a run folder as a `Run`; missing files give empty fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch

from nplight.errors import ArgumentError, RunFolderError
from nplight.metrics import MEASURES, ConditionMeasure, measures_among
from nplight.paths import CategoryPaths, check_neurons
from nplight.store import PathTable, RunFolder, part_files, read_paths
from nplight.store.atomic_write import remove
from nplight.store.file_names import (
    ABOUT,
    CATEGORY_PATHS,
    METRICS_JSON,
    PICTURES,
    SANITY,
    SELECTIVITY,
    SETTINGS,
    STABILITY,
    WAYS_OUT,
)
from nplight.store.json_files import check_shape, read_json

_KINDS = (
    ("settings", SETTINGS),
    ("metrics", METRICS_JSON),
    ("selectivity", SELECTIVITY),
    ("stability", STABILITY),
    ("sanity", SANITY),
    ("about", ABOUT),
    ("pictures", PICTURES),
)


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run; fields without data are empty or `None`.

    Attributes:
        path: its folder.
        settings: of the search, of each method as `search METHOD`, and of the evaluation.
        metrics: the contents of `metrics.json`.
        selectivity: of `selectivity.json`.
        stability: of `stability.json`.
        sanity: of `sanity.json`.
        about: of `run.json`.
        pictures: of `pictures.json`.
        paths: method -> neurons per layer -> category paths.
        top_k: neurons per layer of the path itself.
        table: the image paths.
        names: of the categories, by number.
        widths: neurons per layer, as far as known.

    Examples:
        >>> from nplight.report import read_run
        >>> run = read_run("runs/digits")
        >>> run.category_paths("jas").neurons.shape == (len(run.names), len(run.widths), run.top_k)
        True
        >>> len(run.image_paths("jas")) < run.rows  # of one search, and of all
        True
    """

    path: Path
    settings: Mapping[str, Any]
    metrics: Mapping[str, Any]
    selectivity: Mapping[str, Any]
    stability: Mapping[str, Any]
    sanity: Mapping[str, Any]
    about: Mapping[str, Any]
    pictures: Mapping[str, Any]
    paths: Mapping[str, Mapping[int, CategoryPaths]]
    top_k: int
    table: PathTable | None
    names: tuple[str, ...]
    widths: tuple[int, ...]

    @property
    def methods(self) -> list[str]:
        """The compared searches, the main one first."""
        return list(self.metrics.get("methods", self.paths)) or list(self.table.searches if self.table else ())

    @property
    def measures(self) -> dict[str, ConditionMeasure]:
        """The measures by name: those of `MEASURES`, and those of the objectives that the run has values of."""
        return measures_among({name for row in self.metrics.get("conditions", ())[:1] for name in row})

    @property
    def objectives(self) -> list[ConditionMeasure]:
        """Of these, the values of the objectives other than the probability."""
        return [row for name, row in self.measures.items() if name not in MEASURES and not row.change]

    @property
    def tested(self) -> list[str]:
        """The searches, and the controls that were tested beside them."""
        return list(dict.fromkeys([*self.methods, *self.metrics.get("controls", ())]))

    @property
    def rows(self) -> int:
        """Number of image paths of all searches."""
        return 0 if self.table is None else len(self.table)

    def image_paths(self, search: str) -> PathTable:
        """The image paths of a search.

        Raises:
            ArgumentError: the run has no image paths.
        """
        if self.table is None:
            raise ArgumentError(
                f"`run` must have image paths, but {self.path} has none; validate or predict makes them"
            )
        return self.table.where(search=search)

    def category_paths(self, method: str) -> CategoryPaths | None:
        """The paths of the categories by a method; `None` if it has none."""
        sizes = self.paths.get(method)
        return None if not sizes else sizes.get(min(self.top_k, max(sizes)))


def read_run(directory: str | Path) -> Run:
    """Read a run folder.

    Args:
        directory: the run folder.

    Raises:
        RunFolderError: the folder holds neither paths nor metrics, or a file is damaged.

    Examples:
        >>> from nplight.report import read_run
        >>> run = read_run("runs/digits")
        >>> run.methods[0], run.names
        ('jas', ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9'))
    """
    folder = RunFolder(directory)
    contents = {name: _read(name, folder.path / file) for name, file in _KINDS}
    has_parts = bool(part_files(folder))
    if not has_parts and not contents["metrics"]:
        raise RunFolderError(f"{folder.path} must be a run folder with paths/ or metrics.json, but it has neither")
    paths, top_k = folder.read_category_paths() if (folder.path / CATEGORY_PATHS).exists() else ({}, 1)
    table = read_paths(folder.path) if has_parts else None
    run = Run(
        path=folder.path,
        paths=paths,
        top_k=top_k,
        table=table,
        names=_names(contents, paths, table),
        widths=_widths(contents["about"], paths, table),
        **contents,
    )
    _refuse_disagreeing(run)
    return run


def discard_damaged(directory: str | Path) -> None:
    """Remove damaged files of the report's callback, so that they are written again.

    Raises:
        RunFolderError: a file cannot be removed.
    """
    for name, file in (("about", ABOUT), ("pictures", PICTURES)):
        path = Path(directory) / file
        try:
            _read(name, path)
        except RunFolderError:
            remove(path)


def read_about(directory: str | Path) -> dict[str, Any]:
    """The contents of `run.json`; empty if there is none.

    Raises:
        RunFolderError: it is damaged.
    """
    return _read("about", Path(directory) / ABOUT)


def read_stored(name: str, directory: str | Path) -> dict[str, Any]:
    """The contents of the file of a field of `Run`; empty if there is none.

    Raises:
        RunFolderError: it is damaged.
    """
    return _read(name, Path(directory) / dict(_KINDS)[name])


def _read(name: str, path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    from nplight.report.run_shapes import SHAPES  # imported here: slow, and not needed by most commands

    content: dict[str, Any] = read_json(path)
    check_shape(path, content, SHAPES[name])
    return content


def _refuse_disagreeing(run: Run) -> None:
    """Refuse files of different runs: with other layers, neurons or categories than the category paths."""
    all_paths = [paths for sizes in run.paths.values() for paths in sizes.values()]
    layers = {paths.neurons.shape[1] for paths in all_paths}
    if layers - {len(run.widths)}:
        _disagree(run, ABOUT, f"it has widths of {len(run.widths)} layers, and category_paths.json paths of {layers}")
    for paths in all_paths:
        try:
            check_neurons(paths.neurons, run.widths)
        except ArgumentError as error:
            _disagree(run, ABOUT, f"its widths are not those of the neurons of category_paths.json ({error})")
    accuracy = run.selectivity.get("accuracy", ())
    if accuracy and len(accuracy) != len(run.names):
        _disagree(run, SELECTIVITY, f"it has {len(accuracy)} categories, and the run {len(run.names)}")


def _disagree(run: Run, file: str, what: str) -> NoReturn:
    raise RunFolderError(f"{run.path / file} is damaged, or of another run: {what}; {WAYS_OUT[file]}")


def _names(
    contents: Mapping[str, Mapping[str, Any]],
    paths: Mapping[str, Mapping[int, CategoryPaths]],
    table: PathTable | None,
) -> tuple[str, ...]:
    """The stored names, and numbers for the remaining categories."""
    names = tuple(map(str, contents["about"].get("names") or ()))
    counts = [len(category) for sizes in paths.values() for category in sizes.values()]
    counts.append(int(contents["settings"].get("search", {}).get("categories", 0)))
    if not any(counts) and table is not None:
        counts.append(max(int(torch.as_tensor(table[name]).max()) for name in ("label", "prediction")) + 1)
    return names + tuple(str(number) for number in range(len(names), max(counts)))


def _widths(
    about: Mapping[str, Any], paths: Mapping[str, Mapping[int, CategoryPaths]], table: PathTable | None
) -> tuple[int, ...]:
    """The stored widths; else the smallest that contain all chosen neurons."""
    if about.get("widths"):
        return tuple(about["widths"])
    highest: Sequence[int] = ()
    for category in (category for sizes in paths.values() for category in sizes.values()):
        layers = category.neurons.amax((0, 2)).tolist()
        highest = [max(pair) for pair in zip(layers, highest or layers)]
    if table is not None:
        for method in table.searches:
            for rows in table.where(search=method).batches(["neurons"]):
                layers = rows["neurons"].amax((0, 2)).tolist()
                highest = [max(pair) for pair in zip(layers, highest or layers)]
    return tuple(neuron + 1 for neuron in highest)
