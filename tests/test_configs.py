"""Every configuration file is one that the command line accepts, of a model and data that fit together."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from torchvision.datasets import CIFAR10

from nplight.callbacks import NeuronPathSearch, PathEvaluation
from nplight.cli import PathCLI
from nplight.data import LabelledDataModule, Preprocessing
from nplight.vit import open_vit

CONFIGS = Path(__file__).parent.parent / "configs"
FILES = sorted(path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*.yaml"))
# Weights, files and machines that are not there, and depth that only costs time.
STAND_INS = {
    "model": {"pretrained": "false", "checkpoint": "null", "model_args.depth": "1"},
    "trainer": {"accelerator": "cpu", "strategy": "auto", "devices": "1", "num_nodes": "1"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images of two categories, other folders to train on, and the folder that CIFAR-10 would be in."""
    for category in ("n01440764", "n01443537"):
        (tmp_path / "train" / category).mkdir(parents=True)
        (tmp_path / "images" / category).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (20, 20)).save(tmp_path / "images" / category / f"{number}.jpeg")
    (tmp_path / CIFAR10.base_folder).mkdir()
    return tmp_path


def stand_ins(config: dict[str, Any], folder: Path) -> list[str]:
    """Arguments that put what is there in place of what the configuration names."""
    paths = {"folder": folder / "images", "train_folder": folder / "train", "root": folder}
    changes = [f"--data.init_args.{name}={path}" for name, path in paths.items() if name in config["data"]["init_args"]]
    changes += [f"--model.init_args.{name}={value}" for name, value in STAND_INS["model"].items()]
    return changes + [f"--trainer.{name}={value}" for name, value in STAND_INS["trainer"].items()]


def test_the_configurations_are_there() -> None:
    wanted = {"digits", "image_folder", "cifar10", "paper/vit_b16", "paper/vit_b32", "paper/vit_l32", "paper/mae_b16"}
    assert {f"{name}.yaml" for name in wanted | {"slurm"}} <= set(FILES)


@pytest.mark.parametrize("file", FILES)
def test_a_configuration_is_accepted(file: str, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(PathCLI, "_run_subcommand", lambda self, subcommand: None)
    config = yaml.safe_load((CONFIGS / file).read_text())
    cli = PathCLI(["validate", "--config", str(CONFIGS / file), *stand_ins(config, folder)])

    kinds = [type(callback) for callback in cli.trainer.callbacks]
    assert kinds.index(NeuronPathSearch) < kinds.index(PathEvaluation)
    model, data = cli.model.model, cli.datamodule
    assert model.num_classes == data.num_classes
    # What the configuration itself asks for of the model is still there.
    asked = config["model"]["init_args"].get("model_args", {})
    assert asked.get("global_pool", "token") == model.global_pool
    # The preprocessing is settled, and held against the model, before anything else.
    data.trainer = cli.trainer
    cli.trainer.strategy.connect(cli.model)
    data.setup("predict")
    if isinstance(data, LabelledDataModule):
        assert open_vit(cli.model).image_shape() == (3, *data.preprocessing.image_size)


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("paper/") or file == "slurm.yaml"])
def test_the_papers_configurations_are_its_protocol(file: str) -> None:
    config = yaml.safe_load((CONFIGS / file).read_text())
    search, evaluation = (callback["init_args"] for callback in config["trainer"]["callbacks"][:2])
    assert (search["steps"], search["rule"], search["kept"]) == (20, "riemann-left", [1, 5, 10, 30, 50])
    assert evaluation["fractions"] == [0.1, 0.3, 0.5, 1.0]
    if file.startswith("paper/"):
        per_t = [one["method"] for one in search["methods"] if isinstance(one, dict) and one["search_per_t"]]
        assert per_t == ["jas", "activation", "influence_pattern"]
        assert (search["category_method"], evaluation["pruned_per"]) == ("rank-mode", "image")
    data = config["data"]["init_args"]
    assert (data["preprocessing"], data["batch_size"]) == ("paper", 10)
    changed = Preprocessing.paper().override(**data.get("preprocessing_overrides", {}))
    assert changed.override(image_size=224) == Preprocessing.paper()


def test_the_batch_script_starts_a_task_for_each_device() -> None:
    script = CONFIGS / "slurm.sbatch"
    subprocess.run(["bash", "-n", script], check=True)
    options = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)", script.read_text(), re.MULTILINE))
    trainer = yaml.safe_load((CONFIGS / "slurm.yaml").read_text())["trainer"]
    assert int(options["nodes"]) == trainer["num_nodes"]
    assert int(options["ntasks-per-node"]) == int(options["gpus-per-node"]) == trainer["devices"]
    assert trainer["strategy"] == "ddp"


def test_the_page_on_the_papers_settings_names_every_setting_of_its_configurations() -> None:
    page = (CONFIGS.parent / "docs" / "paper_settings.md").read_text()
    config = yaml.safe_load((CONFIGS / "paper" / "vit_b16.yaml").read_text())
    search, evaluation = (callback["init_args"] for callback in config["trainer"]["callbacks"][:2])
    for name, value in [*search.items(), *evaluation.items()]:
        assert f"`{name}" in page, name
        if not isinstance(value, list):
            assert f"`{name}: {value}`" in page, name


def test_the_array_script_runs_a_shard_per_job_and_then_the_merge(tmp_path: Path) -> None:
    script = CONFIGS / "slurm_array.sbatch"
    for shard in range(2):
        (tmp_path / "runs" / "mine" / f"shard-{shard}-of-2").mkdir(parents=True)
    (tmp_path / "srun").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "srun").chmod(0o755)

    def started(**variables: str) -> str:
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **variables}
        words = ["bash", script, "--config", "configs/mine.yaml"]
        return subprocess.run(
            words, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
        ).stdout.strip()

    shard = "python train.py validate --shard 3/{} --config configs/mine.yaml"
    assert started(SLURM_ARRAY_TASK_ID="3", SLURM_ARRAY_TASK_COUNT="8") == shard.format(8)
    assert started(SLURM_ARRAY_TASK_ID="3", SLURM_ARRAY_TASK_COUNT="1", SHARDS="16") == shard.format(16)
    runs = "runs/mine/shard-0-of-2 runs/mine/shard-1-of-2"
    assert started() == f"python train.py merge {runs} --run_dir runs/mine"
