"""What a release says of itself is the same everywhere."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent


def project() -> dict[str, Any]:
    content: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return content


def test_the_version_is_the_same_everywhere() -> None:
    current = project()["version"]
    assert version("nplight") == current
    assert str(yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"]) == current
    assert re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)[0] == current


def test_the_licence_is_the_same_everywhere() -> None:
    assert project()["license"] == yaml.safe_load((ROOT / "CITATION.cff").read_text())["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert len(text.splitlines()) > 190


def test_the_classifiers_name_the_supported_pythons() -> None:
    named = re.findall(r":: (3\.\d+)$", "\n".join(project()["classifiers"]), re.M)
    assert f">={named[0]}" == project()["requires-python"]


def test_what_builds_the_site_is_an_extra_and_in_the_development_group() -> None:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(content["project"]["optional-dependencies"]["docs"]) <= set(content["dependency-groups"]["dev"])


def test_the_workflow_runs_the_check_before_a_merge() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "checks.yaml").read_text())["jobs"]
    assert {"run": ".ci/run"} in jobs["checks"]["steps"]


def test_the_hooks_before_a_commit_are_checks_of_the_check_before_a_merge() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    script = (ROOT / ".ci" / "run").read_text().replace('"$uv" run', ".uv/bin/uv run")
    assert len(hooks) == 3
    for hook in hooks:
        assert hook["entry"] in script, hook["id"]


def test_nothing_that_is_built_is_tracked() -> None:
    tracked = subprocess.run(["git", "ls-files", "site", "dist", "build"], cwd=ROOT, capture_output=True, text=True)
    assert tracked.stdout == ""
