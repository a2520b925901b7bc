"""What the callbacks that work on a Vision Transformer share: its name, once given, is known to all of a Trainer."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer

from nplight.command_line_settings import CommandLineSettings
from nplight.errors import ArgumentError, UnsupportedModelError, listed
from nplight.vit import OpenViT, open_vit


class ViTCallback(CommandLineSettings, Callback):
    """A callback that works on the Vision Transformer of a LightningModule.

    Attributes:
        run_dir: where results go; `None`: `neuron_paths/` in the logger's folder.
        vit: dotted name of the Vision Transformer in the LightningModule; `None`: that of the Trainer's other
            callbacks, else the only one there is.
    """

    run_dir: str | Path | None
    vit: str | None

    @property
    def folder(self) -> Path | None:
        """`run_dir` as a path."""
        return None if self.run_dir is None else Path(self.run_dir)

    def vit_name(self, trainer: Trainer) -> str | None:
        """Its own `vit`; else that of the callbacks with its `run_dir`; else that of all.

        Raises:
            ArgumentError: the others name several.
        """
        if self.vit is not None:
            return self.vit
        callbacks = getattr(trainer, "callbacks", [])
        named = [other for other in callbacks if isinstance(other, ViTCallback) and other.vit is not None]
        same_folder = [other for other in named if other.folder == self.folder]
        names = sorted({str(other.vit) for other in same_folder or named})
        if len(names) > 1:
            raise ArgumentError(
                f"{type(self).__name__} must be given `vit`, as the other callbacks name several: {listed(names)}"
            )
        return names[0] if names else None

    def refuse_double(self, trainer: Trainer) -> None:
        """Refuse a second callback of the kind with the same `run_dir`, whose results would replace this one's.

        Raises:
            ArgumentError: naming the kind and the folder.
        """
        callbacks = getattr(trainer, "callbacks", [])
        alike = [other for other in callbacks if type(other) is type(self) and other.folder == self.folder]
        if len(alike) > 1:
            folder = "the default" if self.folder is None else self.folder
            raise ArgumentError(
                f"`run_dir` of each {type(self).__name__} of a Trainer must be its own, as one replaces the results of "
                f"another, but {len(alike)} have {folder}; name other folders (several searches in one folder are "
                f"the `methods` of one NeuronPathSearch)"
            )

    def open_vit(self, trainer: Trainer, pl_module: LightningModule) -> OpenViT:
        """The Vision Transformer, opened.

        Raises:
            UnsupportedModelError: it cannot be opened, naming this callback.
            ArgumentError: the Trainer's other callbacks name several.
        """
        name = self.vit_name(trainer)
        try:
            return open_vit(pl_module, name)
        except UnsupportedModelError as error:
            raise UnsupportedModelError(f"{type(self).__name__}: {error}") from error
