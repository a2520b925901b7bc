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
import pytest
import torch
from PIL import Image

from nplight.callbacks import NeuronPathSearch
from nplight.data import NamedDataModule, Preprocessing
from nplight.errors import ArgumentError
from tests.callbacks.digits_project import model
from tests.callbacks.foreign_project import make_trainer

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


FORMS: dict[str, Callable[[Path], str]] = {
    "folder": as_folder,
    "tar": as_tar,
    "wds": as_shards,
    "parquet": as_parquet,
    "saved": as_saved,
}


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("forms")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", str(folder / "cache"))
        datasets.disable_progress_bars()
        return {form: make(folder / form) for form, make in FORMS.items()}


def data_of(roots: dict[str, str], form: str, **options: Any) -> NamedDataModule:
    settings = {"preprocessing": PREPROCESSING, "batch_size": 16, "num_workers": 0, **options}
    return NamedDataModule(dataset=form, root=roots[form], **settings)


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path))


def test_every_form_gives_the_same_rows_by_index(roots: dict[str, str], tmp_path: Path) -> None:
    classifier, tables = model(CATEGORIES).float(), {}
    for form in FORMS:
        search = NeuronPathSearch(run_dir=tmp_path / form, method="activation", kept=(2,))
        make_trainer(search).validate(classifier, data_of(roots, form), verbose=False)
        assert search.run is not None
        tables[form] = pq.read_table(tmp_path / form / "paths").drop(["file"]).replace_schema_metadata()
        categories = {(tmp_path / name / "category_paths.json").read_bytes() for name in (form, "folder")}
        assert len(categories) == 1
    assert tables["folder"].num_rows == IMAGES * 0.8
    for form, table in tables.items():
        assert table.equals(tables["folder"]), form


@pytest.mark.parametrize("form", FORMS)
def test_a_form_has_labels_and_names_before_any_image_is_read(
    roots: dict[str, str], form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("PIL.Image.open", lambda *_: pytest.fail("an image was read"))
    data = data_of(roots, form)
    assert data.num_classes == CATEGORIES
    named = form in ("folder", "tar", "saved")
    assert data.class_names == tuple(f"c{number}" if named else str(number) for number in range(CATEGORIES))
    discover, held_out = data.splits()
    assert (len(discover), len(held_out)) == (160, 40)  # type: ignore[arg-type]
    assert data.identity()["images"] == IMAGES


@pytest.mark.parametrize("form", FORMS)
def test_loader_processes_read_what_one_process_reads(roots: dict[str, str], form: str) -> None:
    images = []
    for workers in (0, 2):
        data = data_of(roots, form, num_workers=workers)
        data.splits()[1][0]  # opened before the loader processes are
        _, held_out = data.val_dataloader()
        images.append(torch.cat([batch["image"] for batch in held_out]))
    assert torch.equal(*images)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_not_there_is_refused_by_name(form: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="`root`"):
        NamedDataModule(dataset=form, root=str(tmp_path / "nowhere"), preprocessing=PREPROCESSING)
    with pytest.raises(ArgumentError, match="`root` must be given"):
        NamedDataModule(dataset=form, preprocessing=PREPROCESSING)


def test_an_unknown_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"`dataset` must be one of 'folder', 'tar', .*'hfds/NAME', got 'zip'"):
        NamedDataModule(dataset="zip", root=str(tmp_path))
    with pytest.raises(ArgumentError, match="`split` must be given for a data set of the Hub"):
        NamedDataModule(dataset="hfds/someone/something")


def test_a_missing_column_is_named(roots: dict[str, str]) -> None:
    with pytest.raises(ArgumentError, match="`label_key` must be one of the columns image, label, got 'fine_label'"):
        data_of(roots, "parquet", label_key="fine_label")


def test_too_few_names_and_training_without_images_are_refused(roots: dict[str, str]) -> None:
    with pytest.raises(ArgumentError, match="`class_names` must name the 4 categories of the labels, got 3 names"):
        data_of(roots, "wds", class_names=["a", "b", "c"])
    assert data_of(roots, "wds", class_names=["a", "b", "c", "d", "e"]).num_classes == 5
    with pytest.raises(ArgumentError, match="`train_root` or `train_split` must be given to fit"):
        data_of(roots, "wds").source(train=True)


@pytest.mark.parametrize("cut", [100, 30_000, 3072, 3072 + 200])
def test_a_shard_that_is_cut_short_is_named(roots: dict[str, str], tmp_path: Path, cut: int) -> None:
    first = sorted(Path(roots["wds"]).parent.glob("*.tar"))[0].read_bytes()
    (tmp_path / "whole.tar").write_bytes(first)
    (tmp_path / "torn.tar").write_bytes(first[:cut])
    with pytest.raises(ArgumentError, match=r"torn\.tar"):
        NamedDataModule(dataset="wds", root=str(tmp_path), preprocessing=PREPROCESSING)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"a.png": b"x"}, "a lacks a label"),
        ({"a.cls": b"1"}, "a lacks an image"),
        ({"a.png": b"x", "a.cls": b"cat"}, "cannot be read as a shard"),
        ({"a.png": b"x", "a.cls": b"-1"}, "a label must be a whole number from 0 on"),
        ({"a.png": b"x", "a.json": b'{"class": 1}'}, "cannot be read as a shard of a WebDataset: 'label'"),
    ],
)
def test_samples_that_lack_something_are_named(tmp_path: Path, members: dict[str, bytes], reason: str) -> None:
    with tarfile.open(tmp_path / "one.tar", "w") as archive:
        for name, content in members.items():
            add(archive, name, content)
    with pytest.raises(ArgumentError, match=reason):
        NamedDataModule(dataset="wds", root=str(tmp_path), preprocessing=PREPROCESSING)


def test_an_image_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "one.tar", "w") as archive:
        for name in ("a", "b"):
            add(archive, f"{name}.png", b"no image")
            add(archive, f"{name}.cls", b"0")
    data = NamedDataModule(dataset="wds", root=str(tmp_path), preprocessing=PREPROCESSING)
    with pytest.raises(ArgumentError, match=r"one\.tar/b cannot be read as an image"):
        data.source(train=False).open(1)
