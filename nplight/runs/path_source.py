"""The category paths that an evaluation tests: those of a search run, or of a finished run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from lightning.pytorch.utilities import rank_zero_warn

from nplight.attribution import OBJECTIVES
from nplight.errors import described
from nplight.path_checks import Tokens
from nplight.paths import CategoryPaths, check_neurons
from nplight.store import PathTable, RunFolder
from nplight.store.file_names import SETTINGS
from nplight.store.json_files import damaged
from nplight.vit import OpenViT


class PathSource(Protocol):
    """Where category paths come from; a `SearchRun` is one."""

    @property
    def names(self) -> Sequence[str]:
        """The names of the searches."""
        ...

    @property
    def top_k(self) -> int:
        """Neurons per layer of the paths that are removed and enhanced."""
        ...

    @property
    def sizes(self) -> Sequence[int]:
        """Numbers of neurons per layer for which there are paths."""
        ...

    @property
    def objectives(self) -> Sequence[str]:
        """What the searches attribute, each one of `OBJECTIVES` once."""
        ...

    @property
    def category_paths(self) -> Mapping[str, Mapping[int, CategoryPaths]]:
        """Search -> neurons per layer -> category paths, at the latest when images are evaluated."""
        ...

    @property
    def tokens(self) -> Mapping[str, Tokens]:
        """Search -> the tokens at which its paths were searched."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What a reader of the results must know of the paths."""
        ...

    def image_paths(self) -> PathTable | None:
        """The stored paths of the images, if they are stored."""
        ...

    def digest(self) -> str | None:
        """What tells the paths from others; `None`: they are those of this run."""
        ...


class StoredPaths:
    """The category paths of a finished run.

    Args:
        folder: the run folder.

    Raises:
        RunFolderError: it holds no category paths, or damaged ones.

    Examples:
        >>> import tempfile
        >>> import nplight
        >>> from nplight.data import ImageBatch
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.runs import SearchRun, SearchSettings, StoredPaths
        >>> from nplight.store import RunFolder
        >>> planted, folder = build_planted(PLANTED["chain"]), RunFolder(tempfile.mkdtemp())
        >>> with SearchRun(nplight.open_vit(planted.model), folder, SearchSettings.of(["jas"], kept=(1, 2))) as search:
        ...     search.update(ImageBatch(planted.images, planted.labels))
        ...     paths = search.conclude()
        ...
        >>> stored = StoredPaths(folder.path)
        >>> stored.names, stored.category_paths["jas"][1].neurons.shape
        (['jas'], torch.Size([4, 4, 1]))
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = RunFolder(folder)
        self.category_paths, self.top_k = self.folder.read_category_paths()
        self.names = list(self.category_paths)
        self.sizes = sorted(self.category_paths[self.names[0]])
        self.tokens = {name: next(iter(sizes.values())).tokens for name, sizes in self.category_paths.items()}
        self.notes: list[str] = []

    @property
    def objectives(self) -> tuple[str, ...]:
        """What the searches attributed, each one of `OBJECTIVES` once, by the settings of the run.

        Raises:
            RunFolderError: the folder has no settings, or damaged ones.
        """
        sections = self.folder.settings()
        named = [sections.get(f"search {name}", {}).get("objective", "probability") for name in self.names]
        for objective in named:
            if not isinstance(objective, str) or objective not in OBJECTIVES:
                raise damaged(self.folder.path / SETTINGS, f"there is no objective {described(objective)}")
        return tuple(dict.fromkeys(named))

    def image_paths(self) -> PathTable | None:
        """None: its images are not those of this run."""
        return None

    def digest(self) -> str | None:
        """What tells these paths from others."""
        return self.folder.category_digest()

    def check_data(self, identity: Mapping[str, Any]) -> None:
        """Refuse data other than those that the paths were found with.

        Args:
            identity: of the data, as plain values.

        Raises:
            RunFolderError: every difference listed.
        """
        self.folder.check_same("search", identity)

    def check_model(self, vit: OpenViT) -> None:
        """Refuse a model that lacks neurons of the paths.

        Raises:
            ArgumentError: naming the neurons.
        """
        for sizes in self.category_paths.values():
            for paths in sizes.values():
                check_neurons(paths.neurons, vit.widths, images=vit.num_classes)

    def compare_weights(self, weights: str) -> None:
        """Warn, and note, that the paths were found with other weights, which is not refused.

        Args:
            weights: their fingerprint.
        """
        if differences := self.folder.differences("search", {"model": weights}):
            self.notes = [f"the paths of {self.folder.path} were found with other weights ({differences})"]
            rank_zero_warn(
                f"{self.notes[0]}; where the same are meant, give the checkpoint and precision they were found with"
            )
