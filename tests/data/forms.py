"""The same images in every form of data that has a name."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from nplight.data import Preprocessing
from nplight.errors import ArgumentError

PREPROCESSING = Preprocessing((16, 16), (0.5,) * 3, (0.5,) * 3)
IMAGES, CATEGORIES = 200, 4


def encoded(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (18, 20, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


# Ordered by category and by name, so that every form numbers them alike.
SAMPLES = [(f"c{number * CATEGORIES // IMAGES}", f"{number:03d}", encoded(number)) for number in range(IMAGES)]


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def as_folder(root: Path) -> str:
    for category, name, content in SAMPLES:
        (root / category).mkdir(parents=True, exist_ok=True)
        (root / category / f"{name}.png").write_bytes(content)
    return str(root)


def as_tar(root: Path) -> str:
    with tarfile.open(root.with_suffix(".tar"), "w") as archive:
        for category, name, content in SAMPLES:
            add(archive, f"{category}/{name}.png", content)
    return str(root.with_suffix(".tar"))


def as_shards(root: Path) -> str:
    root.mkdir()
    for shard in range(3):
        with tarfile.open(root / f"part-{shard}.tar", "w") as archive:
            for category, name, content in SAMPLES[shard * 70 : (shard + 1) * 70]:
                add(archive, f"{name}.png", content)
                if int(name) % 2:
                    add(archive, f"{name}.cls", category[1:].encode())
                else:
                    add(archive, f"{name}.json", json.dumps({"label": int(category[1:])}).encode())
    return str(root / "part-*.tar")


def columns() -> dict[str, list[Any]]:
    images = [{"bytes": content, "path": name} for _, name, content in SAMPLES]
    return {"image": images, "label": [int(category[1:]) for category, *_ in SAMPLES]}


def as_parquet(root: Path) -> str:
    root.mkdir()
    table = pa.table(columns())
    for shard in range(2):
        pq.write_table(table.slice(shard * 120, 120), root / f"{shard}.parquet")
    return str(root)


def as_saved(root: Path) -> str:
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=[f"c{number}" for number in range(CATEGORIES)])}
    )
    datasets.Dataset.from_dict(columns(), features=features).save_to_disk(str(root))
    return str(root)


class Pictures:
    """A data set as a project has one: samples of a PIL image and its label, made of the folder that is given."""

    def __init__(self, root: str | Path) -> None:
        self.files = sorted(Path(root).rglob("*.png"))
        if not self.files:
            raise ArgumentError(f"`root` {root} holds no picture")
        self.targets = [int(file.parent.name[1:]) for file in self.files]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> tuple[Image.Image, int]:
        with Image.open(self.files[number]) as image:
            image.load()
            return image, self.targets[number]


MAP = f"map/{__name__}.Pictures"

FORMS: dict[str, Callable[[Path], str]] = {
    "folder": as_folder,
    "tar": as_tar,
    "wds": as_shards,
    "parquet": as_parquet,
    "saved": as_saved,
    MAP: as_folder,
}
