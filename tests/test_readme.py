"""The README's two commands, from their first word to the start of `uv run`, without a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COMMANDS = re.findall(r"^    (.*pip install.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
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
