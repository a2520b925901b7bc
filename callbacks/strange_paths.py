"""The strangest paths of a `predict`, for people to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from nplight.callbacks.data_settings import data_shard
from nplight.callbacks.path_search import NeuronPathSearch
from nplight.callbacks.run_folders import run_folder
from nplight.callbacks.vit_callback import ViTCallback
from nplight.errors import ArgumentError, RunFolderError, check_at_least
from nplight.processes import on_first_process
from nplight.report.strange_table import strange_rows, strange_table
from nplight.results import StrangePath, strangest_paths
from nplight.results.strange_paths import NEURONS
from nplight.store import PathTable, RunFolder, read_searches
from nplight.store.file_names import STRANGEST


class StrangePaths(ViTCallback):
    """Lists the images of `predict` whose paths are least like those of their predicted category.

    A path far from its category's is a sign of an image that is shifted, mislabelled or attacked; docs/strange_paths.md
    says how good a sign. The list is printed and written to `strangest.csv` in the run folder, for every search. The
    callback stands after the NeuronPathSearch whose paths it reads. It does nothing in other commands and in shards,
    whose images `merge` puts together first.

    Args:
        top: how many images are listed.
        neurons: per layer that are compared, the first of each image's ranking.
        reference: the folder of a finished `validate` of the same model with the same searches, with whose images'
            paths they are compared; `None`: with those of the other predicted images.
        run_dir: where the results are; `None`: `neuron_paths/` in the logger's folder.
        vit: dotted name of the Vision Transformer in the LightningModule; `None`: that of the other callbacks,
            else the only one there is.

    Attributes:
        strangest: search -> the strangest paths, once `predict` has ended, in the first process.

    Raises:
        ArgumentError: an argument is wrong.

    Examples:
        >>> from nplight.callbacks import NeuronPathSearch, StrangePaths
        >>> callbacks = [NeuronPathSearch(run_dir="runs/mine"), StrangePaths(top=5, run_dir="runs/mine")]
    """

    def __init__(
        self,
        *,
        top: int = 20,
        neurons: int = NEURONS,
        reference: str | Path | None = None,
        run_dir: str | Path | None = None,
        vit: str | None = None,
    ) -> None:
        check_at_least("top", top, 1)
        check_at_least("neurons", neurons, 1)
        self.top = top
        self.neurons = neurons
        self.reference = reference
        self.run_dir = run_dir
        self.vit = vit
        self.strangest: dict[str, list[StrangePath]] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.strangest = {}
        if not _lists(trainer):
            return
        callbacks: list[Callback] = getattr(trainer, "callbacks", [])
        before = callbacks[: callbacks.index(self)]
        if not any(isinstance(other, NeuronPathSearch) and other.folder == self.folder for other in before):
            raise ArgumentError("StrangePaths needs a NeuronPathSearch before it in the Trainer, with the same run_dir")

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if _lists(trainer) and self.reference is not None:
            # The search has just written its settings: what does not fit is refused before work starts.
            folder, reference = run_folder(trainer, self.run_dir), RunFolder(self.reference)
            on_first_process(lambda: _check_reference(folder, reference, self._names(trainer)))

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not _lists(trainer):
            return
        folder, names = run_folder(trainer, self.run_dir), self._names(trainer)
        vit = self.open_vit(trainer, pl_module)

        def find() -> dict[str, list[StrangePath]]:
            table = read_searches(folder, names)
            others = None if self.reference is None else read_searches(RunFolder(self.reference), names)
            sizes = {"num_classes": vit.num_classes, "width": max(vit.widths), "neurons": self.neurons}
            return {
                name: strangest_paths(table.where(search=name), self.top, reference=_of(others, name), **sizes)
                for name in names
            }

        self.strangest = on_first_process(find)
        self._write(trainer, folder)

    def _write(self, trainer: Trainer, folder: RunFolder) -> None:
        known: Any = getattr(getattr(trainer, "datamodule", None), "class_names", ())
        rows = {name: strange_rows(name, paths, known) for name, paths in self.strangest.items()}
        on_first_process(lambda: folder.write_csv(STRANGEST, [row for several in rows.values() for row in several]))
        if trainer.is_global_zero:
            against = "those of the other predicted images" if self.reference is None else f"those of {self.reference}"
            for name, listed_rows in rows.items():
                rich.get_console().print(strange_table(name, listed_rows, against))

    def _names(self, trainer: Trainer) -> list[str]:
        callbacks: list[Callback] = getattr(trainer, "callbacks", [])
        searches = [other for other in callbacks if isinstance(other, NeuronPathSearch) and other.folder == self.folder]
        found = [search for other in searches for search in other.searches]
        return [search.name for search in found if search.granularity == "image"]


def _of(table: PathTable | None, name: str) -> PathTable | None:
    return None if table is None else table.where(search=name)


def _check_reference(folder: RunFolder, reference: RunFolder, names: list[str]) -> None:
    """Refuse paths of another model, or that were searched otherwise."""
    here, there = folder.settings(), reference.settings()
    if here["search"]["model"] != there.get("search", {}).get("model"):
        raise RunFolderError(
            f"`reference` {reference.path} must hold paths of the same model, but its weights are others; validate "
            f"this model first, and name that run"
        )
    for name in names:
        section = f"search {name}"
        if section not in there:
            raise RunFolderError(f"`reference` {reference.path} holds no paths of {name}; validate with it too")
        if differences := reference.differences(section, here[section]):
            raise RunFolderError(
                f"`reference` {reference.path} must hold paths of the same search, but those of {name} were found "
                f"otherwise ({differences})"
            )


def _lists(trainer: Trainer) -> bool:
    return trainer.state.fn == TrainerFn.PREDICTING and data_shard(trainer) is None
