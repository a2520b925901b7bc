"""The examples as a reader runs them; the script by itself, on two processes that Lightning starts."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nplight
from nplight.cli import main
from nplight.report import write_report
from tests.test_cli import write_quick

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def test_a_plain_script_on_two_processes(tmp_path: Path) -> None:
    command = [sys.executable, EXAMPLES / "plain_script.py", "--run_dir", tmp_path, "--epochs", "2", "--devices", "2"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=600, capture_output=True)
    for epoch in ("epoch-0000", "epoch-0001"):
        assert nplight.read_paths(tmp_path / epoch)["index"].tolist() == list(range(1400, 1700))
        assert json.loads((tmp_path / epoch / "metrics.json").read_text())["images"] == 97


def test_a_plain_loop_without_lightning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setattr(sys, "argv", ["plain_loop.py", "--run_dir", str(tmp_path), "--epochs", "1"])
    importlib.import_module("plain_loop").main()
    for search in ("jas", "random", "jointly"):
        assert nplight.read_paths(tmp_path).where(search=search)["index"].tolist() == list(range(1400, 1700))
    assert json.loads((tmp_path / "metrics.json").read_text())["images"] == 97
    assert "paths against random neurons (97 images)" in capsys.readouterr().out
    assert write_report(tmp_path).exists()


@pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")
def test_a_project_with_a_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(EXAMPLES / "your_project", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "argv", ["your_project.py"])
    project = importlib.import_module("your_project")
    config = ["--config", "config.yaml", "--trainer.enable_progress_bar=false"]
    project.main(["fit", *config, "--trainer.max_epochs=2"])
    assert not (tmp_path / "runs" / "paths").exists()
    project.main(["validate", *config, "--ckpt_path=runs/last.ckpt"])
    table = nplight.read_paths(tmp_path / "runs")
    assert table["index"].tolist() == list(range(1400, 1700))
    metrics = json.loads((tmp_path / "runs" / "metrics.json").read_text())
    assert metrics["images"] == 97
    accuracy = next(row["accuracy"] for row in metrics["conditions"] if row["condition"] == "clean")
    assert accuracy > 0.3


@pytest.mark.usefixtures("command_line")
def test_shards_that_ray_places(tmp_path: Path) -> None:
    """Merged by the example into what one run gives."""
    options = ["--config", write_quick(tmp_path), "--report=false", "--trainer.enable_progress_bar=false"]
    command = [sys.executable, EXAMPLES / "ray_shards.py", "--shards", "2", "--run_dir", "merged", *options]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=600, capture_output=True)
    main(["validate", "--run_dir", "whole", *map(str, options)])
    names = {path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*.parquet")}
    assert names
    for name in (*names, "metrics.json", "category_paths.json"):
        assert (tmp_path / "merged" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("name", ["timm_finetune", "huggingface_script"])
def test_a_script_without_a_trainer(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--epochs", "3"])
    importlib.import_module(name).main()
    shown = capsys.readouterr().out
    if name == "timm_finetune":
        values = map(float, re.findall(r"([\d.]+)%", shown))
        unedited, removed, random_removed, _, _, kept, random_kept = values
        assert removed < min(unedited, random_removed)
        assert kept > max(10, random_kept)
    else:
        before, effect, after, control = map(float, re.findall(r"([-+]?\d\.\d{3})$", shown, re.M))
        assert effect == pytest.approx(before - after, abs=0.002)
        assert effect > max(0, control)
        assert len(nplight.PathBatch.load(tmp_path / "paths.nplight")) == 100


def test_every_example_is_run_here() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    names = [path.stem for path in EXAMPLES.rglob("*.py")]
    assert len(names) == 7
    assert [name for name in names if name not in text] == []
