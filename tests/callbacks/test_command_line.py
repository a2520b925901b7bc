"""The command `nplight`, where the package is installed."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

import pytest

import nplight.callbacks.command_line as command_line
from nplight.callbacks.command_line import main
from nplight.command_options import overview


def test_the_package_installs_the_command() -> None:
    (entry,) = entry_points(group="console_scripts", name="nplight")
    assert entry.load() is main


@pytest.mark.parametrize(("arguments", "status"), [([], 2), (["-h"], 0), (["--help"], 0)])
def test_it_shows_its_commands(
    arguments: list[str], status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["/bin/nplight", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == status
    shown = capsys.readouterr().out
    assert shown.strip() == overview().strip()
    assert "usage: nplight COMMAND" in shown
    assert "train.py" not in shown


def test_anything_else_is_run_as_by_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(command_line, "run", lambda: calls.append(sys.argv[1]))
    monkeypatch.setattr(sys, "argv", ["nplight", "planted"])
    main()
    assert calls == ["planted"]


def test_help_names_the_program_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/train.py"])
    assert "usage: train.py COMMAND" in overview()
