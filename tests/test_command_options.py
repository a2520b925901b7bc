from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch

from nplight.cli import PathCLI, main
from nplight.command_options import COMMANDS, OPTIONS, overview
from tests.test_cli import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@pytest.fixture(autouse=True)
def command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py"])


def test_the_help_of_the_program_is_there_at_once(tmp_path: Path) -> None:
    """Its words are those of the command line's table, and it loads neither torch nor anything else that is slow."""
    code = "import runpy, sys; sys.argv = sys.argv[1:]\ntry: runpy.run_path(sys.argv[0], run_name='__main__')\n"
    code += "finally: print({'torch', 'lightning', 'numpy', 'nplight'} & set(sys.modules), file=sys.stderr)"
    for words, status in ((["--help"], 0), (["-h"], 0), ([], 2)):
        command = [sys.executable, "-c", code, str(ROOT / "train.py"), *words]
        shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert (shown.returncode, shown.stderr) == (status, "set()\n")
        assert shown.stdout == overview()
    assert {*PathCLI.subcommands(), "merge", "report", "planted", "shrink"} == set(COMMANDS)
    assert all(f"  {name} " in overview() and text in overview() for name, text in COMMANDS.items())


def test_the_versions_are_those_of_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--version"])
    shown = capsys.readouterr().out
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert shown.startswith(f"nplight {told}, torch {torch.__version__.partition('+')[0]}")
    assert f"timm {timm.__version__}" in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize("command", sorted(PathCLI.subcommands()))
def test_the_help_of_a_command_is_nplights_own_options(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    short = capsys.readouterr().out
    assert COMMANDS[command] in short
    assert len(short.splitlines()) <= 45
    assert set(re.findall(r"^  (?:-\w(?: \w+)?, )?--(\w+)(?= |$)", short, re.MULTILINE)) == {
        name for name, option in OPTIONS.items() if command in option.commands
    }


def test_every_option_is_in_the_long_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["validate", "--help_all"])
    long = capsys.readouterr().out
    for name in (*OPTIONS, "trainer.accelerator", "trainer.callbacks.help", "data.help", "weights_only"):
        assert f"--{name}" in long
