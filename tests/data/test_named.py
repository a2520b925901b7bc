from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from nplight.callbacks import NeuronPathSearch
from nplight.data import NamedDataModule, StreamDataModule
from nplight.errors import ArgumentError
from tests.callbacks.digits_project import model
from tests.callbacks.foreign_project import make_trainer
from tests.data.forms import CATEGORIES, FORMS, IMAGES, MAP, PREPROCESSING, SAMPLES, add, as_shards


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("forms")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", str(folder / "cache"))
        datasets.disable_progress_bars()
        return {form: make(folder / form.replace("/", "-")) for form, make in FORMS.items()}


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


def test_predict_takes_all_images_of_a_form_without_their_labels(roots: dict[str, str], tmp_path: Path) -> None:
    classifier, tables = model(CATEGORIES).float(), {}
    for form in FORMS:
        search = NeuronPathSearch(run_dir=tmp_path / form, method="activation", kept=(2,))
        make_trainer(search).predict(classifier, data_of(roots, form), return_predictions=False)
        tables[form] = pq.read_table(tmp_path / form / "paths").drop(["file"]).replace_schema_metadata()
    assert tables["folder"].num_rows == IMAGES
    assert tables["folder"]["label"].null_count == IMAGES
    for form, table in tables.items():
        assert table.equals(tables["folder"]), form
    stream = StreamDataModule(
        stream=lambda: ({"image": content, "index": number} for number, (*_, content) in enumerate(SAMPLES)),
        images=IMAGES,
        class_names=[str(number) for number in range(CATEGORIES)],
        preprocessing=PREPROCESSING,
        batch_size=16,
        num_workers=0,
    )
    search = NeuronPathSearch(run_dir=tmp_path / "stream", method="activation", kept=(2,))
    make_trainer(search).predict(classifier, stream, return_predictions=False)
    assert pq.read_table(tmp_path / "stream" / "paths").drop(["file"]).equals(tables["folder"])


@pytest.mark.parametrize("form", ["wds", "parquet"])
def test_images_without_labels_are_for_predict_alone(form: str, roots: dict[str, str], tmp_path: Path) -> None:
    if form == "wds":
        with tarfile.open(tmp_path / "one.tar", "w") as archive:
            add(archive, "a.png", SAMPLES[0][2])
        root = tmp_path / "one.tar"
    else:
        root = tmp_path / "one.parquet"
        pq.write_table(pa.table({"image": [{"bytes": SAMPLES[0][2], "path": "a"}]}), root)
    settings: dict[str, Any] = {"dataset": form, "root": str(root), "preprocessing": PREPROCESSING, "label_key": None}
    with pytest.raises(ArgumentError, match="`class_names` must name the categories of the model"):
        NamedDataModule(**settings)
    data = NamedDataModule(**settings, class_names=["a", "b"])
    assert data.num_classes == 2
    (batch,) = data.predict_dataloader()
    assert batch.keys() == {"image", "index", "file"}
    with pytest.raises(ArgumentError, match="`label_key` None is for images without labels"):
        data.setup("validate")


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
    if form != MAP:
        with pytest.raises(ArgumentError, match="`root` must be given"):
            NamedDataModule(dataset=form, preprocessing=PREPROCESSING)


def test_an_unknown_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ArgumentError, match=r"`dataset` must be one of 'folder', 'tar', .*'hfds/NAME', 'map/NAME', got 'zip'"
    ):
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


@pytest.mark.parametrize("cut", [30_000, 3072, 3072 + 200])
def test_a_tar_file_that_is_cut_short_is_named(roots: dict[str, str], tmp_path: Path, cut: int) -> None:
    (tmp_path / "torn.tar").write_bytes(Path(roots["tar"]).read_bytes()[:cut])
    for root in (tmp_path, tmp_path / "torn.tar"):
        with pytest.raises(ArgumentError, match=r"torn\.tar (is cut short|cannot be read)"):
            NamedDataModule(dataset="tar", root=str(root), preprocessing=PREPROCESSING)


def test_a_parquet_file_that_is_cut_short_is_named(roots: dict[str, str], tmp_path: Path) -> None:
    first = Path(roots["parquet"], "0.parquet").read_bytes()
    (tmp_path / "torn.parquet").write_bytes(first[: len(first) // 2])
    with pytest.raises(ArgumentError, match=r"torn\.parquet"):
        NamedDataModule(dataset="parquet", root=str(tmp_path), preprocessing=PREPROCESSING)


def test_nothing_is_lost_where_a_shard_is_cut_in_the_middle_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_shards(tmp_path / "shards")
    middle, classifier = tmp_path / "shards" / "part-1.tar", model(CATEGORIES).float()
    whole = middle.read_bytes()

    def predict(run: str) -> dict[str, bytes]:
        data = data_of({"wds": str(tmp_path / "shards")}, "wds")
        search = NeuronPathSearch(run_dir=tmp_path / run, method="activation", kept=(2,))
        make_trainer(search).predict(classifier, data, return_predictions=False)
        return {path.name: path.read_bytes() for path in (tmp_path / run / "paths").iterdir()}

    # Listed while it was whole: the images behind the cut cannot be read.
    real = NeuronPathSearch.on_predict_start
    monkeypatch.setattr(
        NeuronPathSearch,
        "on_predict_start",
        lambda *words: (middle.write_bytes(whole[: len(whole) // 2]), real(*words)),
    )
    with pytest.raises(ArgumentError, match=r"part-1\.tar/[0-9]+ cannot be read as an image"):
        predict("run")
    monkeypatch.undo()
    stored = {path.name: path.read_bytes() for path in (tmp_path / "run" / "paths").iterdir()}
    assert len(stored) > 4
    with pytest.raises(ArgumentError, match=r"part-1\.tar (is cut short|cannot be read)"):
        predict("run")
    assert {path.name: path.read_bytes() for path in (tmp_path / "run" / "paths").iterdir()} == stored
    middle.write_bytes(whole)
    after = predict("run")
    assert stored.items() <= after.items()
    assert after == predict("whole")


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
