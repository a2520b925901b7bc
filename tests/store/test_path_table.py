from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nplight import PathBatch, read_paths
from nplight.errors import ArgumentError, RunFolderError
from nplight.store import PathTable, RunFolder, part_files, write_part
from tests.store.samples import batch, write


def test_what_is_read_is_what_was_written_in_order_of_the_index(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    late, early = write(run, [9, 4, 7]), write(run, [5, 0], seed=1)
    found = read_paths(tmp_path / "run")
    everything = PathBatch.cat([late, early])
    order = [4, 1, 3, 2, 0]
    assert len(found) == 5
    assert found["index"].tolist() == [0, 4, 5, 7, 9]
    assert found["file"] == ["image 0", "image 4", "image 5", "image 7", "image 9"]
    assert found["label"].tolist() == [0, 0, 1, 1, 1]
    assert found["checksum"].tolist() == [7, 11, 12, 14, 16]
    assert found["search"] == ["jas"] * 5
    assert found.searches == ("jas",)
    for column, values in {
        "target": everything.targets,
        "prediction": everything.predictions,
        "probability": everything.probability,
        "score": everything.scores,
        "effect": everything.effect,
        "neurons": everything.neurons,
        "neuron_scores": everything.neuron_scores,
        "ranking": everything.ranking,
        "ranking_scores": everything.ranking_scores,
        "evaluations": everything.evaluations,
    }.items():
        assert torch.equal(found[column], values[order]), column
        assert found[column].dtype == values.dtype
    assert found.columns == tuple(found.to_arrow().column_names)


def test_tables_convert_whole_or_by_column(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    paths = write(run, [2, 1])
    assert repr(read_paths(tmp_path)).startswith("PathTable: 2 rows, searches jas; columns index, file, label, ")
    frame = read_paths(tmp_path).to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert frame["index"].tolist() == [1, 2]
    assert frame["neurons"][0].shape == (2, 1)
    assert frame["neurons"][0].tolist() == paths.neurons[1].tolist()
    arrow = read_paths(tmp_path).to_arrow(["score", "neurons"])
    assert arrow.column_names == ["score", "neurons"]
    assert arrow["neurons"].type.shape == [2, 1]
    table = read_paths(tmp_path)
    assert (table.shape("neurons"), table.shape("ranking"), table.shape("score")) == ((2, 1), (2, 3), ())
    with pytest.raises(ArgumentError, match=r"a column must be one of index, file, .*, got scores$"):
        table.shape("scores")
    with pytest.raises(ArgumentError, match=r"a column must be one of index, file, .*, got scores$"):
        read_paths(tmp_path).to_arrow(["scores"])
    with pytest.raises(ArgumentError, match=r"a column must be one of index, label, .*, got file"):
        next(read_paths(tmp_path).batches(["label", "file"]))


def test_images_without_labels_have_none(tmp_path: Path) -> None:
    write(RunFolder(tmp_path), [0, 1], labels=False)
    found = read_paths(tmp_path)
    assert found["label"].tolist() == [-1, -1]
    assert [rows["label"].tolist() for rows in found.batches(["label"])] == [[-1, -1]]
    assert found.to_arrow()["label"].null_count == 2
    assert len(found.where(label=0)) == len(found.where(label=-1)) == 0


@pytest.mark.parametrize(
    ("dtype", "stored"),
    [
        (torch.float64, torch.float64),
        (torch.float32, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
    ],
)
def test_no_precision_is_lost(tmp_path: Path, dtype: torch.dtype, stored: torch.dtype) -> None:
    paths = write(RunFolder(tmp_path), [0, 1], dtype=dtype)
    found = read_paths(tmp_path)
    for column, values in {"ranking_scores": paths.ranking_scores, "score": paths.scores}.items():
        assert torch.equal(found[column], values.to(stored))
        assert found[column].dtype == stored


def test_searches_are_in_the_order_of_the_methods(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for search, seed in (("mine", 1), ("random", 2), ("jas", 3), ("activation", 4)):
        write(run, [5, 3], seed=seed, search=search)
    write(run, [4], search="jas")
    found = read_paths(tmp_path)
    assert found.searches == ("jas", "activation", "random", "mine")
    assert found["search"] == ["jas"] * 3 + ["activation"] * 2 + ["random"] * 2 + ["mine"] * 2
    assert found["index"].tolist() == [3, 4, 5, 3, 5, 3, 5, 3, 5]
    alone = found.where(search="random")
    assert alone.searches == ("random",)
    assert torch.equal(alone["neurons"], batch(2, 2).neurons.flip(0))
    with pytest.raises(ArgumentError, match=r"`search` must be one of 'jas', 'activation', .*, got 'gradient'"):
        found.where(search="gradient")


def test_searches_of_other_shapes_are_read_one_at_a_time(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    few, many = write(run, [0, 1]), write(run, [0, 1], search="jas@5", ranked=5)
    found = read_paths(tmp_path)
    assert found["score"].tolist() == [*few.scores, *many.scores]
    assert set(found.to_arrow().column_names).isdisjoint({"ranking", "ranking_scores"})
    with pytest.raises(ArgumentError, match=r"got ranking; columns of several shapes are read by where\(search=...\)"):
        found["ranking"]
    for search, paths in (("jas", few), ("jas@5", many)):
        assert torch.equal(found.where(search=search)["ranking"], paths.ranking)


indices = st.lists(st.integers(0, 40), min_size=1, max_size=12, unique=True)


@settings(max_examples=25, deadline=None)
@given(data=st.dictionaries(st.sampled_from(["jas", "random", "mine"]), indices, min_size=1), cut=st.integers(1, 5))
def test_rows_that_are_chosen_are_those_of_the_whole_table(
    tmp_path_factory: pytest.TempPathFactory, data: dict[str, list[int]], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("run")
    for search, numbers in data.items():
        for start in range(0, len(numbers), cut):
            write(RunFolder(folder), numbers[start : start + cut], search=search, seed=start)
    found = read_paths(folder)
    frame = found.to_pandas(["search", "index", "label", "score"])
    ranks = {"jas": 0, "random": 1, "mine": 2}
    keys = [(ranks[search], index) for search, index in zip(frame["search"], frame["index"])]
    assert keys == sorted((ranks[search], number) for search, numbers in data.items() for number in numbers)
    for search, label in itertools.product([None, *data], [None, 0, 1, 2]):
        rows = [search in (None, name) and label in (None, other) for name, other in zip(frame.search, frame.label)]
        chosen = found.where(search=search, label=label)
        assert len(chosen) == sum(rows)
        assert chosen["index"].tolist() == frame["index"][rows].tolist()
        assert chosen["score"].tolist() == frame["score"][rows].tolist()
        assert chosen["neurons"].shape == (sum(rows), 2, 1)
        streamed = [row for part in chosen.batches(["score"], size=3) for row in part["score"].tolist()]
        assert sorted(streamed) == sorted(frame["score"][rows].tolist())
        if search is not None and label is not None:
            again = found.where(label=label).where(search=search)
            assert again["index"].tolist() == chosen["index"].tolist()


def test_a_label_is_chosen_once(tmp_path: Path) -> None:
    write(RunFolder(tmp_path), [0, 1, 2])
    found = read_paths(tmp_path).where(label=0)
    assert found.where(label=0)["index"].tolist() == [0, 2]
    with pytest.raises(ArgumentError, match=r"`label` must be 0, the only one of this table, got 1"):
        found.where(label=1)


def test_only_the_parts_that_are_needed_are_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder(tmp_path)
    write(run, [0, 2])
    write(run, [1, 3])
    write(run, [1, 3], search="random")
    found = read_paths(tmp_path)
    opened: list[str] = []
    whole = pq.ParquetFile

    def noted(path: Path, **options: Any) -> pq.ParquetFile:
        opened.append(path.name)
        return whole(path, **options)

    monkeypatch.setattr(pq, "ParquetFile", noted)
    assert found.where(search="jas", label=1)["score"].shape == (2,)
    assert {name.partition(".")[0] for name in opened} == {"part-jas-0000000001"}


def test_many_parts_are_one_table_and_many_batches(tmp_path: Path) -> None:
    for number in range(7):
        write(RunFolder(tmp_path), [6 - number, 20 + number], seed=number)
    found = read_paths(tmp_path)
    assert found["index"].tolist() == [*range(7), *range(20, 27)]
    batches = list(found.batches(["index", "neurons"], size=1))
    assert [len(rows["index"]) for rows in batches] == [1] * 14
    order = torch.cat([rows["index"] for rows in batches]).argsort()
    assert torch.equal(torch.cat([rows["neurons"] for rows in batches])[order], found["neurons"])


def test_the_index_of_regular_parts_is_known_without_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(RunFolder(tmp_path), [0, 3, 6])
    write(RunFolder(tmp_path), [1, 4, 7])
    monkeypatch.setattr(PathTable, "_scan", lambda *_: pytest.fail("read"))
    assert len(read_paths(tmp_path)) == 6


@pytest.mark.parametrize("index", [[1, 2], [9, 5, 2]])
def test_an_image_that_stands_twice_is_named_with_its_parts(tmp_path: Path, index: list[int]) -> None:
    run = RunFolder(tmp_path)
    write(run, [0, 1, 2])
    write(run, index)
    write(run, [1, 2], search="random")
    with pytest.raises(
        RunFolderError,
        match=rf"holds images {'1, 2' if 1 in index else '2'} more than once, image {min(index)} in "
        rf"part-jas-0000000000\.\w+\.parquet, part-jas-000000000{min(index)}\.\w+\.parquet; delete one",
    ):
        read_paths(tmp_path)
    part_files(run, "jas")[1].unlink()
    assert len(read_paths(tmp_path)) == 5


def test_damage_that_comes_to_light_while_reading_is_named(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    write(run, [0, 1])
    write(run, [2, 4, 6])
    part = part_files(run)[1]
    content = part.read_bytes()
    data = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    part.write_bytes(bytes(byte ^ 1 for byte in content[:data]) + content[data:])
    # Its index, being regular, stands in the footer.
    found = read_paths(tmp_path)
    for work in (lambda: found["label"], lambda: list(found.batches(["label"])), lambda: found.where(label=0)):
        with pytest.raises(RunFolderError, match=r"part-jas-0000000002\.\w+\.parquet is damaged: its data is not what"):
            work()
    part.unlink()
    with pytest.raises(RunFolderError, match=r"part-jas-0000000002\.\w+\.parquet cannot be read: No such file"):
        found["label"]


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(RunFolderError, match=r"`directory` must be a run folder with a paths/ folder"):
            read_paths(folder)


def test_the_folder_of_parts_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "run").mkdir()
    os.symlink(tmp_path / "scratch", tmp_path / "run" / "paths")
    write(RunFolder(tmp_path / "run"), [0, 1])
    assert len(read_paths(tmp_path / "run")) == 2
    assert (tmp_path / "run" / "paths").is_symlink()


def test_parts_come_from_any_device_and_graph(tmp_path: Path) -> None:
    paths = batch(2, dtype=torch.float64)
    paths.ranking_scores.requires_grad_()
    write_part(
        RunFolder(tmp_path), paths, index=torch.arange(2), files=["a", "b"], labels=None, checksums=[1, 2], search="jas"
    )
    assert torch.equal(read_paths(tmp_path)["ranking_scores"], paths.ranking_scores)
