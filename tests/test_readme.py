"""The README's two commands, from their first word to the start of `uv run`, without a network; and what it quotes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import zipfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import nplight
from benchmarks.path_picture import driven
from nplight.data import DigitsDataModule
from nplight.modules import ViTClassifier
from tests.readme_run import SIZES, STORED, configuration, first_screen

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FIRST_RUN = (ROOT / "docs" / "start" / "first_run.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (.*pip install.*)$", README, re.MULTILINE)
# A Python outside this environment, as users have one.
PYTHON = Path(sys.base_prefix) / "bin" / "python3"
REFUSES = """
import sysconfig
real = sysconfig.get_path
sysconfig.get_path = lambda name, *a, **k: {folder!r} if name == "stdlib" else real(name, *a, **k)
"""


def write_stand_in(folder: Path) -> None:
    """A package of uv's name, whose program says how it was called."""
    folder.mkdir()
    about = "Metadata-Version: 2.1\nName: uv\nVersion: 1.0\n"
    tags = "Wheel-Version: 1.0\nGenerator: none\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    program = '#!/bin/sh\necho "uv was called: $@"\n'
    files = {
        "uv/__init__.py": "",
        "uv-1.0.data/scripts/uv": program,
        "uv-1.0.dist-info/METADATA": about,
        "uv-1.0.dist-info/WHEEL": tags,
        "uv-1.0.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(folder / "uv-1.0-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o100755 << 16  # a file that may be run
            wheel.writestr(entry, text)


def environment(kind: str, folder: Path) -> dict[str, str]:
    """Variables under which `python3` is one that refuses pip (PEP 668), or that of a virtual environment."""
    python, variables = PYTHON, {}
    if kind == "refuses":
        (folder / "managed").mkdir()
        (folder / "managed" / "EXTERNALLY-MANAGED").write_text("[externally-managed]\nError=use apt\n")
        (folder / "managed" / "sitecustomize.py").write_text(REFUSES.format(folder=str(folder / "managed")))
        variables["PYTHONPATH"] = str(folder / "managed")
    else:
        options = ["--without-pip", "--system-site-packages"]
        subprocess.run([PYTHON, "-m", "venv", *options, folder / "venv"], check=True)
        python = folder / "venv" / "bin" / "python3"
    (folder / "bin").mkdir()
    (folder / "bin" / "python3").write_text(f'#!/bin/sh\nexec "{python}" "$@"\n')
    (folder / "bin" / "python3").chmod(0o755)
    write_stand_in(folder / "wheels")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "VIRTUAL_ENV"))},
        **variables,
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder / "wheels"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


@pytest.mark.skipif(
    subprocess.run([PYTHON, "-c", "import pip"], capture_output=True).returncode != 0, reason="this Python has no pip"
)
@pytest.mark.parametrize("kind", ["refuses", "venv"])
def test_both_commands_start_on_every_python(kind: str, tmp_path: Path) -> None:
    assert len(COMMANDS) == 2
    variables = environment(kind, tmp_path)
    place = tmp_path / "clone"
    place.mkdir()

    def run(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["bash", "-c", command], cwd=place, env=variables, capture_output=True, text=True)

    if kind == "refuses":
        assert "externally-managed-environment" in run("python3 -m pip install --dry-run uv").stderr
    for command in COMMANDS:
        ran = run(command)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.splitlines()[-1] == f"uv was called: {command.partition('uv && ')[2].partition(' ')[2]}"
    assert [path.name for path in place.iterdir()] == [".uv"]
    assert subprocess.run(["git", "check-ignore", "-q", ".uv/bin/uv"], cwd=ROOT).returncode in (0, 128)


def test_the_check_before_a_merge_sets_up_as_the_readme_does() -> None:
    first, second = (command.partition(" && ")[0] for command in COMMANDS)
    assert first == second
    script = (ROOT / ".ci" / "run").read_text()
    assert first in script
    assert not re.search(r"-m (pip install(?!.*--target)|uv)\b", script + (ROOT / "README.md").read_text())


def test_the_readme_shows_what_the_first_command_prints() -> None:
    stored = json.loads(STORED.read_text())
    lines = first_screen(stored, "runs/digits")
    assert len(lines) <= 25
    assert "\n".join(f"    {line}".rstrip() for line in lines) in README
    assert "\n".join(f"    {line}".rstrip() for line in lines) in FIRST_RUN
    assert stored["configuration"] == configuration(), "run the command again, and store it: tests/readme_run.py"


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_percentages_of_the_text_are_those_that_the_command_prints() -> None:
    screen = "\n".join(first_screen(json.loads(STORED.read_text()), "runs/digits"))
    text = README.partition("## What comes out")[2].partition("\n## ")[0]
    percentages = re.findall(r"\d+\.\d+(?=%)", text)
    assert len(percentages) >= 4
    assert [number for number in percentages if number not in screen] == []


def test_numbers_that_are_called_verified_are_on_the_pages_that_are_linked() -> None:
    table = README.partition("## What is verified")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (?!what|-)(.*) \| (.*) \| \[.*\]\((.*)\) \|$", table, re.M)
    assert len(rows) == 6
    for text, number, page in rows:
        there = (ROOT / page).read_text(encoding="utf-8")
        assert number == "all" or re.search(rf"\b{re.escape(number.rstrip('%'))}\b", there), text


def test_planted_recall_in_the_readme_is_what_was_measured() -> None:
    page = (ROOT / "docs" / "ground_truth.md").read_text(encoding="utf-8")
    table = page.partition("**Found, all decoys**")[2].partition("\n\n**")[0]
    columns = ["chain", "parallel", "conjunction", "redundancy", "backup", "inhibition"]
    cells = re.findall(r"^\| (\w+) \| (.*) \|$", table, re.M)
    recall = {name: dict(zip(columns, row.split(" | "))) for name, row in cells}
    assert recall["jas"]["chain"] == "25"
    assert recall["joint_integrated_gradients"]["chain"] == "100"
    assert recall["joint_integrated_gradients"]["backup"] == "0"
    assert recall["joint_positive_gradients"]["backup"] == "100"


def test_the_picture_is_of_the_path_that_the_run_found() -> None:
    drawn = json.loads(Image.open(ROOT / "docs" / "figures" / "neuron_path.png").text["Description"])  # type: ignore[attr-defined]
    stored = json.loads(STORED.read_text())["paths"][drawn["search"]]["1"][drawn["digit"]]
    assert drawn["neurons"] == [layer[0] for layer in stored], "python -m benchmarks.path_picture draws it anew"
    assert driven(drawn["neurons"]).labels == drawn["labels"]


def test_what_it_prints_of_paths_is_what_the_bundled_model_does() -> None:
    stored = json.loads(STORED.read_text())
    model, held_out = bundled_model(stored), next(iter(DigitsDataModule(batch_size=1000).val_dataloader()[1]))
    checked = 0
    for row in stored["conditions"]:
        known = row["method"] != "random" and str(row["kept"] or 1) in SIZES and row["layers"] is None
        if not known or row["pruned"] not in (None, 1):
            continue
        with edit(model, stored["paths"], row, held_out["label"]):
            accuracy, probability = predicted(model, held_out)
        assert accuracy == pytest.approx(row["accuracy"], abs=1e-6), row
        assert probability == pytest.approx(row["probability"], abs=1e-5), row
        checked += 1
    assert checked > 20


def test_the_paths_it_prints_of_are_those_that_the_searches_find() -> None:
    stored = json.loads(STORED.read_text())
    model, digits = bundled_model(stored), next(iter(DigitsDataModule(batch_size=1000).val_dataloader()[0]))
    zeros = digits["image"][digits["label"] == 0]
    labels = torch.zeros(len(zeros), dtype=torch.int64)
    for name, by_size in stored["paths"].items():
        found = nplight.search(model, zeros, labels, method=name, ranked=10)
        for size in map(int, SIZES):
            ranking, scores = found.ranking[..., :size], found.ranking_scores[..., :size]
            category = nplight.category_paths(ranking, labels, num_classes=1, top_k=size, scores=scores)
            assert category.neurons[0].tolist() == by_size[str(size)][0], (name, size)


def bundled_model(stored: dict[str, Any]) -> nn.Module:
    settings = stored["configuration"]["model"]
    classifier = ViTClassifier(
        settings["model_name"],
        num_classes=10,
        model_args=settings["model_args"],
        checkpoint=settings["checkpoint"],
    )
    return classifier.model.eval()


def edit(model: nn.Module, paths: dict[str, Any], row: dict[str, Any], labels: Tensor) -> AbstractContextManager[None]:
    """The edit of a row of results, by the library's own context manager."""
    operations = {"removed": "remove", "enhanced": "enhance", "kept": "keep"}
    if row["condition"] == "clean":
        return contextlib.nullcontext()
    if row["condition"] == "none":
        layers = len(next(iter(paths.values()))["1"][0])
        all_neurons = torch.arange(nplight.open_vit(model).widths[0]).expand(layers, -1)
        return nplight.intervene(model, all_neurons, "remove", tokens=row["tokens"])
    neurons = torch.tensor(paths[row["method"]][str(row["kept"])])[labels]
    return nplight.intervene(model, neurons, operations[row["condition"]], tokens=row["tokens"])


def predicted(model: nn.Module, batch: dict[str, Tensor]) -> tuple[float, float]:
    """Accuracy, and the mean probability of the label."""
    with torch.no_grad():
        probabilities = model(batch["image"]).double().softmax(-1)
    labels = batch["label"]
    right = probabilities.argmax(-1) == labels
    return right.double().mean().item(), probabilities[torch.arange(len(labels)), labels].mean().item()
