from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest
import torch

from nplight import CategoryPaths, PathBatch, read_paths
from nplight.errors import ArgumentError, RunFolderError
from nplight.store import RunFolder, part_files, write_part, write_whole


def batch(count: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> PathBatch:
    draw = torch.Generator().manual_seed(seed)
    ranking = torch.rand(count, 2, 9, generator=draw).argsort(-1)[..., :3]
    scores = torch.rand(count, 2, 3, generator=draw, dtype=dtype)
    return PathBatch(
        neurons=ranking[..., :1],
        neuron_scores=scores[..., :1],
        scores=scores.sum((1, 2)),
        targets=torch.arange(count),
        probability=scores[:, 0, 0],
        predictions=torch.arange(count) + 1,
        ranking=ranking,
        ranking_scores=scores,
    )


def write(run: RunFolder, index: list[int], labels: bool = True, seed: int = 0) -> PathBatch:
    paths = batch(len(index), seed)
    numbers = torch.tensor(index)
    write_part(
        run,
        paths,
        index=numbers,
        files=[f"image {number}" for number in index],
        labels=numbers % 2 if labels else None,
        checksums=[number + 7 for number in index],
        method="jas",
    )
    return paths


def test_what_is_read_is_what_was_written_in_order_of_the_index(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    late, early = write(run, [9, 4, 7]), write(run, [5, 0], seed=1)
    table = read_paths(tmp_path / "run")
    everything = PathBatch.cat([late, early])
    order = [4, 1, 3, 2, 0]
    assert len(table) == 5
    assert table["index"].tolist() == [0, 4, 5, 7, 9]
    assert table["file"] == ["image 0", "image 4", "image 5", "image 7", "image 9"]
    assert table["label"].tolist() == [0, 0, 1, 1, 1]
    assert table["method"] == ["jas"] * 5
    for column, values in {
        "target": everything.targets,
        "prediction": everything.predictions,
        "probability": everything.probability,
        "score": everything.scores,
        "neurons": everything.neurons,
        "neuron_scores": everything.neuron_scores,
        "ranking": everything.ranking,
        "ranking_scores": everything.ranking_scores,
    }.items():
        assert torch.equal(table[column], values[order]), column
        assert table[column].dtype == values.dtype
    assert table.columns == tuple(table.to_arrow().column_names)


def test_tables_convert_whole_or_by_column(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    paths = write(run, [2, 1])
    frame = read_paths(tmp_path).to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert frame["index"].tolist() == [1, 2]
    assert frame["neurons"][0].shape == (2, 1)
    assert frame["neurons"][0].tolist() == paths.neurons[1].tolist()
    arrow = read_paths(tmp_path).to_arrow(["score", "neurons"])
    assert arrow.column_names == ["score", "neurons"]
    assert arrow["neurons"].type.shape == [2, 1]
    with pytest.raises(ArgumentError, match=r"a column must be one of index, file, .*, got scores"):
        read_paths(tmp_path).to_arrow(["scores"])
    rows = list(read_paths(tmp_path).batches(["label", "ranking"]))
    assert sum(len(part["label"]) for part in rows) == 2


def test_images_without_labels_have_none(tmp_path: Path) -> None:
    write(RunFolder(tmp_path), [0, 1], labels=False)
    table = read_paths(tmp_path)
    assert table["label"].tolist() == [-1, -1]
    assert table.to_arrow()["label"].null_count == 2


def test_float64_stays_float64(tmp_path: Path) -> None:
    paths = batch(2, dtype=torch.float64)
    write_part(
        RunFolder(tmp_path), paths, index=torch.arange(2), files=["a", "b"], labels=None, checksums=[1, 2], method="jas"
    )
    assert torch.equal(read_paths(tmp_path)["ranking_scores"], paths.ranking_scores)


def test_a_file_that_was_being_written_is_not_there(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    write(run, [0, 1])
    (run.parts / ".part-0000000002.parquet.123.tmp").write_bytes(b"half")

    def fail(path: Path) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "metrics.json", fail)
    assert not (tmp_path / "metrics.json").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["paths"]
    assert len(read_paths(tmp_path)) == 2
    assert len(part_files(run)) == 1


def test_an_older_file_stays_whole_when_writing_fails(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text("old")

    def fail(path: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(RunFolderError, match=r"metrics\.json cannot be written: No space left on device"):
        write_whole(tmp_path / "metrics.json", fail)
    assert (tmp_path / "metrics.json").read_text() == "old"


def test_damaged_and_doubled_parts_are_named(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    write(run, [0, 1])
    os.link(run.parts / "part-0000000000.parquet", run.parts / "part-0000000009.parquet")
    with pytest.raises(RunFolderError, match=r"holds images 0, 1 more than once"):
        read_paths(tmp_path)
    (run.parts / "part-0000000009.parquet").unlink()
    (run.parts / "part-0000000009.parquet").write_bytes(b"no parquet")
    with pytest.raises(RunFolderError, match="holds a damaged part"):
        read_paths(tmp_path)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(RunFolderError, match=r"`directory` must be a run folder with a paths/ folder"):
            read_paths(folder)


def test_a_run_goes_on_with_the_same_settings_only(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.claim("search", {"steps": 20, "kept": (1, 5)})
    before = (run.path / "settings.json").read_bytes()
    run.claim("search", {"steps": 20, "kept": (1, 5)})
    with pytest.raises(
        RunFolderError, match=r"other settings \(steps: 20 there, 8 now, rule: None there, midpoint now\)"
    ):
        run.claim("search", {"steps": 8, "kept": (1, 5), "rule": "midpoint"})
    assert (run.path / "settings.json").read_bytes() == before
    run.claim("evaluation", {"seed": 0})
    assert set(json.loads((run.path / "settings.json").read_text())) == {"search", "evaluation"}


def test_paths_of_an_unknown_run_are_not_mixed_with_new_ones(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    write(run, [0])
    with pytest.raises(RunFolderError, match="holds paths of an unknown run"):
        run.claim("search", {"steps": 20})


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(RunFolderError, match=r"`run_dir` must be a folder, but .*file is a file"):
            RunFolder(path)


def test_category_paths_survive_the_file(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    images = torch.tensor([4, 2])
    paths = {
        size: CategoryPaths(
            torch.arange(2 * 3 * size).view(2, 3, size), torch.rand(2, 3, size).double(), images, "frequency"
        )
        for size in (1, 5)
    }
    run.write_category_paths(paths, top_k=1)
    found, top_k = run.read_category_paths()
    assert top_k == 1
    assert list(found) == [1, 5]
    for size in paths:
        assert torch.equal(found[size].neurons, paths[size].neurons)
        assert torch.equal(found[size].votes, paths[size].votes)
        assert torch.equal(found[size].images, images)
        assert found[size].method == "frequency"
    digest = run.category_digest()
    run.write_category_paths({1: paths[1]}, top_k=1)
    assert run.category_digest() != digest


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"paths": {"1": {}}, "top_k": 1}'])
def test_damaged_category_paths_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "category_paths.json").write_text(text)
    with pytest.raises(RunFolderError, match=r"category_paths\.json is damaged"):
        RunFolder(tmp_path).read_category_paths()
    with pytest.raises(RunFolderError, match=r"must be a run folder with category_paths\.json"):
        RunFolder(tmp_path / "other").read_category_paths()


def test_metrics_are_written_as_json_and_csv(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    rows = [{"condition": "clean", "kept": None, "accuracy": 0.5}, {"condition": "kept", "kept": 5, "accuracy": 0.25}]
    run.write_metrics(rows, {"images": 4})
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"images": 4, "conditions": rows}
    assert (tmp_path / "metrics.csv").read_text() == "condition,kept,accuracy\nclean,,0.5\nkept,5,0.25\n"
