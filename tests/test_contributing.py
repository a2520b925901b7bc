"""CONTRIBUTING.md: its tables are those of the tree, and its three examples are carried out as they are printed."""

from __future__ import annotations

import csv
import importlib
import io
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import rich
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset, TensorDataset

from nplight import METHODS, open_vit, search
from nplight.callbacks import NeuronPathSearch, PathEvaluation, PathReport
from nplight.errors import ArgumentError
from nplight.metrics import MEASURES
from nplight.report import read_run
from tests.callbacks.foreign_project import Foreign, make_trainer
from tests.methods import test_table
from tests.test_layout import LAYERS
from tests.test_reliability import missing, named_tests
from tests.vit import families, test_families

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Block:
    """A fenced block of the page.

    Attributes:
        file: where its text stands.
        table: the table of that file to which its last paragraph, a row, is added; empty for a whole file.
        text: without the line that names the file.
    """

    file: str
    table: str
    text: str

    @property
    def module(self) -> str:
        return self.file.removesuffix(".py").replace("/", ".")


BLOCKS = [Block(*match) for match in re.findall(r"^```python\n# (\S+?)(?:, in (\w+))?\n(.*?)^```$", PAGE, re.M | re.S)]


def write_file(block: Block, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """The file of a block, in a folder beside its package, which finds it there."""
    path = folder / block.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text, encoding="utf-8")
    if block.file.startswith("nplight/"):
        package = importlib.import_module(block.module.rpartition(".")[0])
        patch.setattr(package, "__path__", [*package.__path__, str(path.parent)])
        patch.setattr(package, path.stem, importlib.import_module(block.module), raising=False)


def add_row(block: Block, patch: pytest.MonkeyPatch) -> None:
    """The row of a block at the end of its table, after the statements before it."""
    module = importlib.import_module(block.module)
    statements, _, row = block.text.rpartition("\n\n")
    names = dict(vars(module))
    exec(statements, names)
    rows, table = eval(f"{{{row}}}", names), getattr(module, block.table)
    if isinstance(table, dict):
        for name, value in rows.items() if isinstance(rows, dict) else ((row.name, row) for row in rows):
            patch.setitem(table, name, value)
    else:
        patch.setattr(module, block.table, type(table)([*table, *rows]))


@pytest.fixture(scope="module", autouse=True)
def added(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The page carried out: its files are written, and its rows added."""
    folder, before = tmp_path_factory.mktemp("page"), set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        for block in BLOCKS:
            if block.table:
                add_row(block, patch)
            else:
                write_file(block, folder, patch)
        yield
    for name in {block.module for block in BLOCKS} | {"my_project"}:
        if name not in before:
            del sys.modules[name]


def small_vit() -> nn.Module:
    return families.CASES[-1].build()


@dataclass(frozen=True)
class Run:
    """A small run of the page's family, with its method and its measure.

    Attributes:
        folder: the run folder.
        shown: what the terminal showed.
        page: the report.
    """

    folder: Path
    shown: str
    page: str


@pytest.fixture(scope="module")
def run(added: None, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder, console = tmp_path_factory.mktemp("run"), Console(file=io.StringIO(), width=80)
    images = torch.randn(40, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    data = TensorDataset(images, torch.arange(40) % 5, torch.arange(40))
    loaders: Any = [DataLoader(Subset(data, range(start, start + 20)), batch_size=20) for start in (0, 20)]
    callbacks = [
        NeuronPathSearch(run_dir=folder, methods=["jas", "saliency"], steps=2, kept=(1, 4)),
        PathEvaluation(run_dir=folder, fractions=(1.0,), replicates=20, draws=2, verbose=True),
        PathReport(run_dir=folder),
    ]
    with patch.object(rich, "get_console", return_value=console):
        make_trainer(*callbacks).validate(Foreign(small_vit()), loaders, verbose=False)
    assert isinstance(console.file, io.StringIO)
    return Run(folder, console.file.getvalue(), (folder / "report.html").read_text(encoding="utf-8"))


def test_the_page_adds_one_file_and_one_row_of_each_kind() -> None:
    tables = {(block.file, block.table) for block in BLOCKS if block.table and block.file.startswith("nplight/")}
    assert tables == {
        ("nplight/methods/table.py", "_ROWS"),
        ("nplight/vit/registry.py", "FAMILIES"),
        ("nplight/metrics/measures.py", "MEASURES"),
    }
    files = [block.file for block in BLOCKS if not block.table and block.file.startswith("nplight/")]
    assert sorted(Path(file).parent for file in files) == sorted(Path(file).parent for file, _ in tables)
    assert not any((ROOT / file).exists() for file in files)


def test_the_method_is_searched_by_name_and_equals_its_definition(images: Tensor, targets: Tensor) -> None:
    assert "saliency" in METHODS
    test_table.test_every_method_has_a_definition()
    for case in (*families.CASES[:1], *(case for case in families.CASES if len(case.tokens) == 4)):
        test_table.test_a_method_equals_its_definition_on_every_family(images, targets, "saliency", case)
    with pytest.raises(ArgumentError, match="`patch_stream` must be 'exact' for method 'saliency'"):
        search(small_vit(), images, method="saliency", patch_stream="frozen")


def test_the_method_is_in_the_files_the_tables_and_the_page(run: Run) -> None:
    rows = json.loads((run.folder / "metrics.json").read_text())["conditions"]
    assert {row["method"] for row in rows} == {"", "jas", "saliency", "random"}  # "": unedited
    assert re.search(r"^ *saliency( +[-+]?\d\S*){3}", run.shown, re.M)
    assert "saliency" in (run.folder / "comparison.md").read_text()
    assert '<th scope="row">saliency</th>' in run.page


def test_the_family_is_opened_and_searched_as_the_oracle_and_the_definitions_say(
    images: Tensor, targets: Tensor
) -> None:
    case, model = families.CASES[-1], small_vit()
    assert type(open_vit(model)).__name__ == "OpenSmallViT"
    assert case.family in families.table()
    test_families.test_what_the_table_calls_exact_is_exact(case, images, targets)
    for method in METHODS:
        test_table.test_a_method_equals_its_definition_on_every_family(images, targets, method, case)


def test_the_family_is_in_the_page(run: Run) -> None:
    assert "SmallViT" in run.page
    assert read_run(run.folder).widths == (64, 64, 64)


def test_the_measure_is_in_the_files_the_tables_and_the_page(run: Run) -> None:
    assert "surprise" in MEASURES
    rows = json.loads((run.folder / "metrics.json").read_text())["conditions"]
    assert all(row["surprise_low"] <= row["surprise"] <= row["surprise_high"] for row in rows)
    with (run.folder / "metrics.csv").open(newline="") as file:
        assert [float(row["surprise"]) for row in csv.DictReader(file)] == [row["surprise"] for row in rows]
    removed = next(row for row in rows if row["condition"] == "removed")
    assert f"{removed['surprise']:.3f}" in run.shown
    assert "surprise: negative log-probability of the label." in " ".join(run.shown.split())
    assert f'data-head="removed: surprise">{removed["surprise"]:.3f}<br>' in run.page


def test_the_rooms_are_those_of_the_tree() -> None:
    rooms = re.findall(r"^\| `(\w+)/` \|", PAGE, re.M)
    packages = {path.parent.name for path in (ROOT / "nplight").glob("*/__init__.py")}
    assert set(rooms) == packages
    heights = [next((height for height, names in enumerate(LAYERS) if room in names), len(LAYERS)) for room in rooms]
    assert heights == sorted(heights)


def test_the_rules_are_held_by_tests_that_are_there() -> None:
    rules = named_tests(PAGE.partition("## Rules that tests hold")[2].partition("\n## ")[0])
    assert len(rules) >= 10
    assert missing(rules) == []


def test_the_page_links_to_nothing_outside_and_the_readme_links_to_it() -> None:
    prose = re.sub(r"^```.*?^```$", "", PAGE, flags=re.M | re.S)
    assert "](" not in prose
    assert "://" not in PAGE
    assert "(CONTRIBUTING.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
