from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from nplight.callbacks import NeuronPathSearch
from nplight.data import Preprocessing, Shard, StreamDataModule, hashed_split
from nplight.data.stream_batches import StreamBatches
from nplight.errors import ArgumentError
from tests.callbacks.digits_project import model
from tests.callbacks.foreign_project import make_trainer
from tests.data.forms import CATEGORIES, IMAGES, PREPROCESSING, SAMPLES

ORDER = torch.randperm(IMAGES, generator=torch.Generator().manual_seed(0)).tolist()
NAMES = [f"c{number}" for number in range(CATEGORIES)]


def sample(number: int, **changed: Any) -> dict[str, Any]:
    category, name, content = SAMPLES[number]
    return {"image": content, "label": int(category[1:]), "index": number, "file": name, **changed}


def stream() -> Iterator[dict[str, Any]]:
    """The images in another order than by number."""
    yield from map(sample, ORDER)


def of(samples: list[Any]) -> Callable[[], Iterator[Any]]:
    return lambda: iter(samples)


def data_of(begin: Any = stream, **options: Any) -> StreamDataModule:
    settings = {"preprocessing": PREPROCESSING, "batch_size": 16, "num_workers": 0, "images": IMAGES, **options}
    return StreamDataModule(stream=begin, class_names=NAMES, **settings)


def batches_of(loader: Any) -> list[Mapping[str, Any]]:
    assert len(loader) > 0
    batches = list(loader)
    assert len(batches) == len(loader)
    return batches


def test_the_split_is_of_the_index_alone() -> None:
    whole = hashed_split(10_000, 0.8, seed=3)
    assert torch.equal(hashed_split(4_000, 0.8, seed=3), whole[:4_000])
    # Four standard deviations.
    assert abs(int(whole.sum()) - 8_000) < 160
    assert not torch.equal(hashed_split(10_000, 0.8, seed=4), whole)
    with pytest.raises(ArgumentError, match="one of its sides has none"):
        hashed_split(2, 0.999, seed=0)


def test_each_image_comes_once_with_its_own_pixels_and_label() -> None:
    data = data_of()
    found = [batch for loader in data.val_dataloader() for batch in batches_of(loader)]
    index = torch.cat([batch["index"] for batch in found])
    assert sorted(index.tolist()) == list(range(IMAGES))
    labels = torch.cat([batch["label"] for batch in found])
    assert labels.tolist() == [int(SAMPLES[number][0][1:]) for number in index.tolist()]
    discover, held_out = (torch.cat([batch["index"] for batch in loader]) for loader in data.val_dataloader())
    mask = hashed_split(IMAGES, 0.8, seed=0)
    assert mask[discover].all()
    assert not mask[held_out].any()
    assert f"{len(discover)} discover, {len(held_out)} held-out images" in data.identity()["split"]
    assert torch.equal(torch.cat([batch["index"] for batch in data.test_dataloader()]), held_out)


@pytest.mark.parametrize("workers", [1, 2])
def test_loader_processes_give_the_batches_of_one_process(workers: int) -> None:
    expected, found = (batches_of(data_of(num_workers=number).val_dataloader()[0]) for number in (0, workers))
    for one, other in zip(expected, found, strict=True):
        assert torch.equal(one["image"], other["image"])
        assert one["file"] == other["file"]


def test_processes_and_shards_share_the_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [batch["index"].tolist() for batch in batches_of(data_of().val_dataloader()[0])]
    for rank in range(3):
        monkeypatch.setattr("nplight.data.stream_batches._process", lambda rank=rank: (rank, 3))
        assert [batch["index"].tolist() for batch in batches_of(data_of().val_dataloader()[0])] == whole[rank::3]
    monkeypatch.setattr("nplight.data.stream_batches._process", lambda: (0, 99))
    with pytest.raises(ArgumentError, match="cannot be shared by 99 processes"):
        len(data_of().val_dataloader()[0])
    monkeypatch.undo()
    shares = []
    for number in range(3):
        data = data_of()
        data.shard = Shard(number, 3)
        (loader,) = data.val_dataloader()
        shares += [batch["index"].tolist() for batch in batches_of(loader)]
    assert shares == whole


def test_a_spawned_loader_process_knows_the_share_of_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = data_of().splits()[0]
    monkeypatch.setattr("nplight.data.stream_batches._process", lambda: (1, 3))
    state = batches.__getstate__()
    monkeypatch.undo()
    there = StreamBatches.__new__(StreamBatches)
    there.__dict__.update(state)
    assert [batch["index"].tolist() for batch in there] == [batch["index"].tolist() for batch in batches][1::3]


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        ([0, 1, 2, 1, 3], "gives image 1 more than once, again at position 3"),
        ([0, 1, 3], "has ended without images 2: 1 of the 4 of `images` are missing"),
        ([0, 1, 2, 3, 4], r"an `index` in 0 … 3, the number of its image, got 4 at position 4"),
    ],
)
@pytest.mark.parametrize("workers", [0, 2])
def test_repeats_gaps_and_strangers_are_refused(samples: list[int], reason: str, workers: int) -> None:
    data = data_of(of([sample(number) for number in samples]), images=4, batch_size=1, num_workers=workers)
    loader = data.val_dataloader()[0]
    with pytest.raises(ArgumentError, match=reason):
        list(itertools.islice(loader, len(loader)))  # as Lightning does, which asks for no more
    if workers:
        loader.loader._iterator._shutdown_workers()  # the collector of garbage would wait for them


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"index": None}, "must be a mapping with an `index` in 0 … 1"),
        ({"index": 0.0}, "must be a mapping with an `index` in 0 … 1"),
        ({"label": 4}, "`label` of a sample must be in 0 … 3, got 4"),
        ({"label": None}, "`label` of a sample must be in 0 … 3, got None"),
        ({"image": torch.zeros(3, 8, 8)}, "`image` of a sample must be a PIL image or the bytes of an image file"),
        ({"image": b"no image"}, "000 cannot be read as an image"),
    ],
)
def test_samples_that_are_wrong_are_refused_by_name(changed: dict[str, Any], reason: str) -> None:
    data = data_of(of([sample(0, **changed), sample(1)]), images=2, split_seed=1)
    with pytest.raises(ArgumentError, match=reason):
        [list(loader) for loader in data.val_dataloader()]


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ArgumentError, match="`stream` must be a function that begins the stream"):
        data_of([sample(0)])
    with pytest.raises(ArgumentError, match="`stream` must be the dotted name of a function, got 'tests"):
        data_of("tests.data.test_stream.nothing")
    with pytest.raises(ArgumentError, match="`images` must be an integer of at least 2"):
        data_of(images=1)
    with pytest.raises(ArgumentError, match="a stream is never trained on"):
        data_of().setup("fit")
    with pytest.raises(ArgumentError, match="a stream has no images by number"):
        data_of().source(train=False)


def test_a_gap_keeps_what_was_found_and_the_mended_stream_goes_on(tmp_path: Path) -> None:
    classifier, samples = model(CATEGORIES).float(), list(stream())

    def validate(run: str, begin: Any) -> NeuronPathSearch:
        search = NeuronPathSearch(run_dir=tmp_path / run, method="activation", kept=(2,))
        make_trainer(search).validate(classifier, data_of(begin), verbose=False)
        return search

    # Both functions have one name, by which the run knows its stream.
    with pytest.raises(ArgumentError, match=f"has ended without images {ORDER[-1]}"):
        validate("cut", of(samples[:-1]))
    stored = {path.name: path.read_bytes() for path in (tmp_path / "cut" / "paths").iterdir()}
    assert len(stored) > 5
    validate("cut", of(samples))
    validate("whole", of(samples))
    files = {path.name: path.read_bytes() for path in (tmp_path / "cut" / "paths").iterdir()}
    assert stored.items() <= files.items()
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "whole" / "paths").iterdir()}


def test_predict_takes_the_whole_stream_without_labels(tmp_path: Path) -> None:
    data = data_of(of([sample(number, label=None) for number in ORDER]))
    search = NeuronPathSearch(run_dir=tmp_path, method="activation", kept=(2,))
    make_trainer(search).predict(model(CATEGORIES).float(), data, return_predictions=False)
    rows = pq.read_table(tmp_path / "paths").sort_by("index")
    assert rows["index"].to_pylist() == list(range(IMAGES))
    assert rows["label"].null_count == IMAGES
    assert rows["file"].to_pylist() == [name for _, name, _ in SAMPLES]
    assert isinstance(data.preprocessing, Preprocessing)
