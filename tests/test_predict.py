"""`predict` of a data set's own images, and its list of strange paths."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import yaml

import nplight
from nplight.cli import main
from tests.data.forms import SAMPLES, as_shards
from tests.test_cli import QUICK, quick, refused

__all__ = ["quick"]

pytestmark = pytest.mark.usefixtures("command_line")


def test_predict_takes_the_images_of_a_data_set_and_lists_the_strangest(
    quick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = yaml.safe_load(quick.read_text())
    config["data"] = {
        "class_path": "nplight.data.NamedDataModule",
        "init_args": {
            "dataset": "wds",
            "root": as_shards(tmp_path / "shards"),
            "label_key": None,
            "class_names": [str(number) for number in range(10)],
            "preprocessing_overrides": {"image_size": [16, 16]},
            "num_workers": 0,
        },
    }
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump(config))
    main(["predict", "--config", str(own), "--run_dir", "run", "--top", "4", *QUICK])
    table = nplight.read_paths("run")
    search = table.searches[0]
    assert len(table.where(search=search)) == len(SAMPLES)
    with Path("run", "strangest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows if row["search"] == search] == ["1", "2", "3", "4"]
    assert rows[0]["file"].startswith("part-")
    error = refused(["predict", "--config", str(own), "--reference", "runs/quick"], capsys)
    assert "--reference is for --top" in error
    error = refused(["validate", "--config", str(quick), "--top", "4"], capsys)
    assert "--top is for predict, got 4 with validate" in error
