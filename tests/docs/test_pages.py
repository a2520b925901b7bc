"""Links, Python blocks and command lines of README, CONTRIBUTING and all pages of docs."""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn

import nplight
from benchmarks import reference_pages
from nplight.cli import main
from nplight.command_options import COMMANDS, OPTIONS
from nplight.store import file_names
from tests.callbacks.test_fit import Learner, data
from tests.docs import pages
from tests.docs.notebooks import working_in

ROOT = pages.ROOT
PYTHON = [page for page in pages.PAGES if pages.python(page) and page.name != "CONTRIBUTING.md"]
OWN_PARSERS = ("merge", "report", "planted", "shrink")


def test_every_link_leads_somewhere() -> None:
    checked = 0
    for page in pages.PAGES:
        for target in pages.links(page):
            path, _, anchor = target.partition("#")
            there = page if not path else (page.parent / path)
            assert there.exists(), f"{pages.name(page)}: {target}"
            assert ROOT in there.resolve().parents, f"{pages.name(page)}: {target}"
            assert not anchor or anchor in pages.anchors(there), f"{pages.name(page)}: {target}"
            checked += 1
    assert checked > 100


def test_every_command_line_is_one_that_the_program_takes(capsys: pytest.CaptureFixture[str]) -> None:
    commands = [command for page in pages.PAGES for command in pages.commands(page)]
    assert len(commands) > 25
    helps = {name: own_help(name, capsys) for name in OWN_PARSERS}
    for page, (name, *words) in commands:
        assert name in COMMANDS or name == "COMMAND", f"{page}: {name}"
        flags = [word.partition("=")[0] for word in words if word.startswith("--")]
        for flag in flags:
            assert taken(name, flag, helps), f"{page}: {name} {flag}"
        for file in re.findall(r"\bconfigs/[\w/]+\.(?:yaml|sbatch)", " ".join(words)):
            assert (ROOT / file).is_file() or re.search("mine|NAME", file), f"{page}: {file}"


def taken(command: str, flag: str, helps: dict[str, str]) -> bool:
    """Whether a command has an option."""
    if command in OWN_PARSERS and re.search(rf"{re.escape(flag)}\b", helps[command]):
        return True
    option = OPTIONS.get(flag[2:])
    configured = flag.startswith(("--trainer.", "--data.", "--model."))
    return configured or (option is not None and command in (*option.commands, "COMMAND", "merge"))


def own_help(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        main([name, "--help"])
    return capsys.readouterr().out


def test_every_module_and_file_that_a_command_names_is_there() -> None:
    checked = 0
    for page in pages.PAGES:
        text = page.read_text(encoding="utf-8")
        for module in re.findall(r"python -m ((?:benchmarks|tests|nplight)[\w.]*)", text):
            assert importlib.util.find_spec(module), f"{pages.name(page)}: {module}"
            checked += 1
        for file in re.findall(r"\b((?:configs|examples)/(?!test_)[\w/]+\.(?:yaml|py|sbatch))", text):
            assert (ROOT / file).is_file() or "mine" in file or "NAME" in file, f"{pages.name(page)}: {file}"
            checked += 1
    assert checked > 30


@pytest.fixture
def small_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models of timm by name are small ones with the same depth and categories, without pretrained weights."""
    create = timm.create_model

    def small(name: str, **settings: Any) -> nn.Module:
        settings.pop("pretrained", None)
        return create(name, patch_size=112, embed_dim=12, num_heads=1, **settings)

    monkeypatch.setattr(timm, "create_model", small)


@pytest.fixture(scope="module")
def run_folder(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `runs/digits` is a copy of a finished run."""
    folder = tmp_path_factory.mktemp("pages")
    shutil.copytree(finished, folder / "runs" / "digits")
    return folder


@pytest.mark.parametrize("page", PYTHON, ids=pages.name)
@pytest.mark.filterwarnings("ignore:The number of training batches:UserWarning")
def test_the_python_of_a_page_runs(
    page: Path, small_models: None, run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plotly.graph_objects.Figure.show", lambda figure: None)
    names = dict(given(pages.name(page)))
    torch.manual_seed(0)
    with working_in(run_folder):
        for block in pages.python(page):
            exec(compile(block, pages.name(page), "exec"), names)


def given(page: str) -> Iterator[tuple[str, Any]]:
    """What the text of a page takes for granted."""
    if page == "docs/pruning.md":
        train, (validation, _) = data(torch.float32)
        yield from {"module": Learner(torch.float32), "train_loader": train, "validation_loader": validation}.items()


def test_the_pages_of_the_reference_are_what_their_command_writes() -> None:
    for name, content in reference_pages.pages().items():
        assert (reference_pages.FOLDER / name).read_text(encoding="utf-8") == content, (
            f"python -m benchmarks.reference_pages writes {name} anew"
        )


def test_the_page_of_the_run_folder_lists_its_files_and_columns(run_folder: Path) -> None:
    text = (ROOT / "docs" / "reference" / "run_folder.md").read_text(encoding="utf-8")
    files, _, columns = text.partition("## Columns of `paths/`")
    rows, _, measured = columns.partition("## Columns of `metrics.csv`")
    public = {name: value for name, value in vars(file_names).items() if re.fullmatch("[A-Z]+[A-Z_]*", name)}
    constants = {name: value for name, value in public.items() if isinstance(value, str)}
    assert [value for value in constants.values() if f"`{value}" not in files] == []
    named = {
        name for row in re.findall(r"^\| (`.*?) \| .* \| .* \|$", rows, re.M) for name in re.findall(r"`(\w+)`", row)
    }
    assert named == set(nplight.read_paths(run_folder / "runs" / "digits").where(search="jas").columns)
    header = (run_folder / "runs" / "digits" / "metrics.csv").read_text().partition("\n")[0].split(",")
    keys = set(re.findall(r"^\| `(\w+)` \|", measured, re.M))
    assert keys == set(header[: header.index("images") + 1])
