"""What every run is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType

from typing_extensions import Self

from nplight.data import ImageBatch
from nplight.store import RunFolder
from nplight.vit import OpenViT


class Run(ABC):
    """Work on many images, batch by batch, whose results go to a run folder.

    A `with` releases the folder at its end.

    Args:
        vit: the opened model.
        folder: where results go.
    """

    def __init__(self, vit: OpenViT, folder: RunFolder) -> None:
        self.vit = vit
        self.folder = folder

    @abstractmethod
    def update(self, batch: ImageBatch, loader: int = 0) -> None:
        """Take a batch.

        Args:
            batch: on the device of the model.
            loader: the number of the loader that it comes from.
        """

    def release(self) -> None:
        """Let other runs use the folder; more than once does no harm."""
        self.folder.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
