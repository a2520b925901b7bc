"""Images per second of the input pipeline: `python -m benchmarks.input_pipeline`.

JPEG images of 500 x 375 pixels are made up, read by `ImageFolderDataModule` and prepared for 224 x 224 pixels, by
several numbers of loader processes, and once more as WebDataset shards. Beside it: images per second that the default
search takes, from `benchmarks.adaptive`.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rich
import torch
from jsonargparse import auto_cli
from PIL import Image

from benchmarks.machine import machine
from nplight.data import ImageFolderDataModule, NamedDataModule, PathDataModule, Preprocessing

_ADAPTIVE = Path(__file__).parent / "results" / "adaptive.json"


def main(images: int = 512, workers: tuple[int, ...] = (0, 1, 2), output: str | None = None) -> None:
    """Measure, print and, with `output`, write JSON.

    Args:
        images: of two categories.
        workers: numbers of loader processes.
        output: a JSON file for the figures.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), images)
        forms = {
            "folder": lambda count: ImageFolderDataModule(
                folder=f"{folder}/images", preprocessing=Preprocessing.paper(), num_workers=count
            ),
            "wds": lambda count: NamedDataModule(
                dataset="wds", root=folder, preprocessing=Preprocessing.paper(), num_workers=count
            ),
        }
        measured = {
            name: {str(count): images_per_second(make(count)) for count in workers} for name, make in forms.items()
        }
    searched = {row["of"]: row for row in json.loads(_ADAPTIVE.read_text())["comparisons"]}
    found: dict[str, Any] = {
        **machine(torch.device("cpu")),
        "processors": os.cpu_count(),
        "images": images,
        "images_per_second": measured,
        "searched_per_second": {
            name: round(1 / searched[name]["seconds_default"], 2)
            for name in ("vit_tiny_patch16_224", "vit_tiny_patch16_224, frozen")
        },
    }
    rich.print(found)
    if output is not None:
        Path(output).write_text(json.dumps(found, indent=2) + "\n")


def write_images(folder: Path, images: int) -> None:
    """JPEG files of smooth noise, as photographs have, in two class folders and in a shard."""
    draw = np.random.default_rng(0)
    with tarfile.open(folder / "shard.tar", "w") as archive:
        for number in range(images):
            coarse = Image.fromarray(draw.integers(0, 256, (30, 40, 3), dtype=np.uint8))
            buffer = io.BytesIO()
            coarse.resize((500, 375), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
            path = folder / "images" / str(number % 2) / f"{number:05d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(buffer.getvalue())
            for extension, content in (("jpg", buffer.getvalue()), ("cls", b"%d" % (number % 2))):
                member = tarfile.TarInfo(f"{number:05d}.{extension}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def images_per_second(data: PathDataModule) -> float:
    """Of the discover loader, in its second epoch: loader processes have been started, and files are in memory."""
    loader = data.val_dataloader()[0]
    for _ in range(2):
        start = time.perf_counter()
        count = sum(len(batch["image"]) for batch in loader)
    return round(count / (time.perf_counter() - start), 1)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
