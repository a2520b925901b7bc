"""What holds the project together: imports one way, every package installed, nothing of one machine."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
# Each may import those before it.
LAYERS = [
    {"command_line_settings", "errors", "seeds"},
    {"path_checks", "path_file", "path_views", "processes"},
    {"paths"},
    {"vit"},
    {"neurons", "data"},
    {"attribution"},
    {"methods"},
    {"searching"},
    {"metrics"},
    {"store"},
    {"results"},
    {"shrinking"},
    {"pruning"},
    {"modules", "run_logger", "terminal"},
    {"planted"},
    {"command_options", "report"},
    {"runs"},
    {"merge_command"},
    {"cli"},
]


def modules(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if "callbacks" not in path.relative_to(ROOT).parts[1:]]


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def test_imports_go_one_way() -> None:
    height = {name: level for level, names in enumerate(LAYERS) for name in names}
    checked = 0
    for path in modules("nplight"):
        part = path.relative_to(ROOT / "nplight").with_suffix("").parts[0]
        if part == "__init__":
            continue
        for name in imported(path):
            _, _, rest = name.partition("nplight.")
            other = rest.split(".")[0]
            if name.startswith("nplight.") and other in height and other != part:
                assert height[other] < height[part], f"{path.name} imports {name}"
                checked += 1
        assert "nplight.callbacks" not in imported(path), path
    assert checked > 50
    assert {path.name.removesuffix(".py") for path in (ROOT / "nplight").iterdir()} - set(height) <= {
        "__init__", "__pycache__", "callbacks", "py.typed",
    }  # fmt: skip


def test_every_package_is_installed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = {path.parent.relative_to(ROOT) for path in (ROOT / "nplight").rglob("__init__.py")}
    names = {".".join(folder.parts) for folder in there} | {"nplight.callbacks"}
    assert sorted(names) == sorted(listed)
    for name in listed:
        assert importlib.import_module(name).__doc__, name


def test_every_file_that_is_no_module_is_installed() -> None:
    """Templates, styles, weights: without their pattern the wheel would lack them."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    folders = {name: ROOT / Path(*name.split(".")) for name in patterns}
    installed = {path for name, folder in folders.items() for glob in patterns[name] for path in folder.glob(glob)}
    there = [path for path in (ROOT / "nplight").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    missing = {path for path in there if path.suffix != ".py"} - installed
    assert not missing
    assert ROOT / "nplight" / "report" / "templates" / "page.html" in installed


def test_the_callbacks_have_one_name() -> None:
    assert (ROOT / "nplight" / "callbacks").is_symlink()
    assert (ROOT / "nplight" / "callbacks").resolve() == ROOT / "callbacks"
    texts = [
        *modules("nplight", "callbacks", "tests", "benchmarks"),
        *(ROOT / "configs").rglob("*.yaml"),
        ROOT / "train.py",
    ]
    assert len(texts) > 40
    for path in texts:
        if path.suffix == ".py":
            assert not any(name.split(".")[0] == "callbacks" for name in imported(path)), path
        else:
            assert "class_path: callbacks." not in path.read_text(), path


def test_every_public_name_exists_and_is_documented() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    count = 0
    for package in map(importlib.import_module, listed):
        for name in getattr(package, "__all__", ()):
            value = getattr(package, name)
            if callable(value) and getattr(value, "__module__", "").startswith("nplight"):
                assert value.__doc__, f"{package.__name__}.{name}"
                count += 1
    assert count > 40


def test_the_command_works_from_any_folder_and_under_spawned_workers(tmp_path: Path) -> None:
    """In one process of its own: the one import of the command line that is not shared with other tests."""
    code = f"""
import runpy, sys
import torch.multiprocessing as mp
from nplight.callbacks import NeuronPathSearch

if __name__ == "__main__":
    with mp.get_context("spawn").Pool(1) as pool:
        assert pool.apply(type, (NeuronPathSearch(steps=3),)) is NeuronPathSearch
    sys.argv = [{str(ROOT / "train.py")!r}, "validate", "--help"]
    runpy.run_path(sys.argv[0], run_name="__main__")
"""
    (tmp_path / "script.py").write_text(code)
    shown = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, check=True, timeout=300, capture_output=True, text=True
    )
    assert "usage: train.py validate --config FILE" in shown.stdout


@pytest.mark.parametrize("pattern", ["/home/", "/root/", "/Users/", "http://localhost"])
def test_no_file_names_a_machine(pattern: str) -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    texts = [ROOT / name for name in tracked if Path(name).suffix in {".py", ".md", ".yaml", ".toml", ".json"}]
    assert len(texts) > 20
    for path in texts:
        if path != Path(__file__) and path.is_file():
            assert pattern not in path.read_text(), path
