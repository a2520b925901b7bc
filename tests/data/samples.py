"""Folders of images, and the data modules over them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import timm
from lightning.pytorch import LightningModule
from lightning.pytorch.accelerators import CPUAccelerator
from PIL import Image
from torch import nn

from nplight.data import ImageFolderDataModule, Preprocessing

SMALL = Preprocessing((8, 8), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def save(path: Path, seed: int = 0, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def cut(path: Path, share: float = 0.6) -> Path:
    """Truncate a file, as a download that was broken off is."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def data_of(folder: Path, /, **options: Any) -> ImageFolderDataModule:
    return ImageFolderDataModule(**{"folder": str(folder), "preprocessing": SMALL, "num_workers": 0, **options})


def samples(data: ImageFolderDataModule) -> list[dict[str, Any]]:
    images, labels = data.evaluation_data()
    found = [images[position] for position in range(len(labels))]
    assert [sample["label"] for sample in found] == labels.tolist()
    return found


def scramble(path: Path) -> None:
    """Damage the middle of a PNG and leave its beginning and end."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200] = bytes(200)
    path.write_bytes(content)


class Wrapped(LightningModule):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model


def attached(data: ImageFolderDataModule, **arguments: Any) -> ImageFolderDataModule:
    """The data as a Trainer would have it that runs a tiny ViT."""
    settings = {"img_size": 16, "patch_size": 4, "embed_dim": 16, "depth": 1, "num_heads": 2, "num_classes": 2}
    model = Wrapped(timm.create_model("vit_tiny_patch16_224", **{**settings, **arguments}))
    data.trainer = SimpleNamespace(  # type: ignore[assignment]
        lightning_module=model, world_size=1, state=SimpleNamespace(fn="validate"), accelerator=CPUAccelerator()
    )
    return data
