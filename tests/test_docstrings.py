"""The examples of the docstrings run."""

from __future__ import annotations

import doctest
import importlib
import inspect
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
WITHOUT = {
    "nplight.attribution.progressive.choose_layer_by_layer": "takes the node rows of a method",
    "nplight.attribution.first_layer.settle_first_layer": "takes the scores that a method gives of layer 0",
    "nplight.data.cifar.CIFAR10DataModule": "needs the images, which are downloaded",
    "nplight.data.cifar.CIFAR100DataModule": "needs the images, which are downloaded",
    "nplight.runs.path_source.PathSource": "an interface; `SearchRun` and `StoredPaths`, which have it, have examples",
    "nplight.runs.run.Run": "an abstract base; `SearchRun` and `EvaluationRun` have examples",
    "nplight.shrinking.onnx_export.export_onnx": "needs the extra `onnx`",
}
"""Public names without an example, and why."""


def public(packages: list[str]) -> Iterator[tuple[str, object]]:
    """The public classes and functions of packages by their names where they are defined, each once."""
    values = {}
    for package in packages:
        module = importlib.import_module(package)
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__.startswith("nplight"):
                values[f"{value.__module__}.{value.__qualname__}"] = value
    yield from values.items()


@pytest.fixture
def run_folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The folder in which an example runs; where it reads `runs/digits`, this is a copy of a finished run."""
    if "runs/digits" in (inspect.getdoc(EXAMPLES[request.getfixturevalue("name")]) or ""):
        shutil.copytree(request.getfixturevalue("finished"), tmp_path / "runs" / "digits")
    return tmp_path


def has_example(value: object) -> bool:
    return ">>> " in (inspect.getdoc(value) or "")


EXAMPLES = {name: value for name, value in public(PACKAGES) if has_example(value)}


def test_every_public_name_has_an_example() -> None:
    lacking = {name for name, value in public(PACKAGES) if not has_example(value)}
    assert lacking == set(WITHOUT)
    assert len(EXAMPLES) > 330


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name: str, run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run_folder)
    monkeypatch.setattr("tempfile.tempdir", str(run_folder))
    example = doctest.DocTestParser().get_doctest(inspect.getdoc(EXAMPLES[name]) or "", {}, name, None, None)
    shown: list[str] = []
    result = doctest.DocTestRunner().run(example, out=shown.append)
    assert result.attempted > 0
    assert result.failed == 0, "".join(shown)
