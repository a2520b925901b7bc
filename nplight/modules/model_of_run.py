"""The model and the data of a finished run, built from the configuration in its folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningArgumentParser

from nplight.data import ImageBatch, batch_reader
from nplight.errors import RunFolderError, listed
from nplight.modules.lightning_checkpoint import check_lightning_checkpoint
from nplight.store import RunFolder
from nplight.store.file_names import CONFIG
from nplight.vit import OpenViT, fingerprint, open_vit


@dataclass(frozen=True, slots=True)
class ModelOfRun:
    """The searched model of a run, with its weights, and the images.

    Attributes:
        folder: the run folder.
        vit: the opened model.
        data: the data module, set up.
        reader: turns its batches into an `ImageBatch`.
    """

    folder: RunFolder
    vit: OpenViT
    data: LightningDataModule
    reader: Callable[[Any], ImageBatch]

    def discover(self) -> Iterator[ImageBatch]:
        """The images that paths were found with, batch by batch on the model's device."""
        yield from self._batches(0)

    def held_out(self) -> Iterator[ImageBatch]:
        """The images that paths are tested with."""
        yield from self._batches(1)

    def _batches(self, loader: int) -> Iterator[ImageBatch]:
        device = self.vit.down[0].linear.weight.device
        loaders = self.data.val_dataloader()
        if not isinstance(loaders, (list, tuple)) or len(loaders) != 2:
            raise RunFolderError(
                f"{self.folder.path} must be a run whose data gives two validation loaders, of discover and held-out "
                f"images"
            )
        for batch in loaders[loader]:
            images = self.reader(batch)
            labels = None if images.labels is None else images.labels.to(device)
            yield ImageBatch(images.images.to(device), labels, images.index, images.files)


def model_of_run(directory: str | Path, device: str = "cpu") -> ModelOfRun:
    """Build the model and the data of a run that the command line made.

    Args:
        directory: the run folder, of `validate` or `predict`.
        device: where the model goes.

    Raises:
        RunFolderError: there is no such run, its configuration does not build, or the model's weights or the data are
            others now.
    """
    folder = RunFolder(directory)
    config = _configuration(folder)
    settings = folder.settings().get("search")
    if settings is None:
        raise RunFolderError(f"{folder.path} must be the folder of a search, of validate or predict, but has none")
    model, data = _built(folder, config)
    search = _search_arguments(config)
    vit = open_vit(model.to(device), search.get("vit"))
    if settings.get("model") != fingerprint(vit.searched):
        raise RunFolderError(
            f"the configuration in {folder.path} gives a model with other weights than the one that was searched; put "
            f"the checkpoint that it names back in its place"
        )
    data.prepare_data()
    data.setup("validate")
    identity = getattr(data, "identity", None)
    if identity is not None:
        folder.check_same("search", identity())
    return ModelOfRun(folder, vit, data, batch_reader(search.get("read_batch")))


def _configuration(folder: RunFolder) -> dict[str, Any]:
    path = folder.path / CONFIG
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunFolderError(f"{folder.path} must be a run of the command line, with {CONFIG}, but has none") from error
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise RunFolderError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    missing = [name for name in ("model", "data") if not isinstance(config, dict) or not config.get(name)]
    if missing:
        raise RunFolderError(f"{path} must be a configuration with model and data, but lacks {listed(missing)}")
    return dict(config)


def _built(folder: RunFolder, config: Mapping[str, Any]) -> tuple[LightningModule, LightningDataModule]:
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_lightning_class_args(LightningModule, "model", subclass_mode=True)
    parser.add_lightning_class_args(LightningDataModule, "data", subclass_mode=True)
    parser.link_arguments("data.num_classes", "model.init_args.num_classes", apply_on="instantiate")
    try:
        parsed = parser.parse_object({"model": config["model"], "data": config["data"]})
        with torch.random.fork_rng(devices=[]):  # initial weights are drawn, and then loaded
            built = parser.instantiate_classes(parsed)
        if config.get("ckpt_path"):
            check_lightning_checkpoint(config["ckpt_path"])
            content = torch.load(config["ckpt_path"], map_location="cpu", weights_only=True)
            built.model.load_state_dict(content["state_dict"])
    except RunFolderError:
        raise
    except Exception as error:  # classes of any project raise errors of any kind
        reason = " ".join(str(error).split())[:300]
        raise RunFolderError(f"{folder.path / CONFIG} does not build its model and data: {reason}") from error
    return built.model, built.data


def _search_arguments(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments of the callback that searched."""
    callbacks = (config.get("trainer") or {}).get("callbacks") or []
    for callback in callbacks:
        if str(callback.get("class_path", "")).endswith("NeuronPathSearch"):
            return callback.get("init_args") or {}
    return {}
