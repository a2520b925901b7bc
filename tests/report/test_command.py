from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nplight.cli import main
from nplight.errors import ArgumentError, RunFolderError
from nplight.report import read_run, write_report
from tests.report.samples import data_of, write_run


def test_the_command_makes_the_page_again(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (finished / "report.html").read_bytes()
    (finished / "report.html").unlink()
    main(["report", str(finished)])
    assert (finished / "report.html").read_bytes() == before
    assert str(finished / "report.html") in capsys.readouterr().out


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RunFolderError, match=r"must be a run folder with paths/ or metrics\.json, but it has neither"):
        read_run(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["report", str(tmp_path)])
    assert caught.value.code == 2
    assert "error: " in capsys.readouterr().err
    write_run(tmp_path, categories=2, images=2)
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(RunFolderError, match=r"metrics\.json is damaged: Expecting"):
        write_report(tmp_path)
    (tmp_path / "metrics.json").write_text("[]")
    with pytest.raises(RunFolderError, match=r"metrics\.json is damaged: .* valid dictionary"):
        write_report(tmp_path)


def test_two_runs_have_a_page_of_both(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (Path(shutil.copytree(finished, tmp_path / name)) for name in ("first", "second"))
    before = (first / "report.html").read_bytes()
    main(["report", str(first), str(second)])
    assert str(first / "compared.html") in capsys.readouterr().out
    assert (first / "report.html").read_bytes() == before
    data = data_of((first / "compared.html").read_text())
    assert list(data["methods"]) == ["jas", "random", "jas of second", "random of second"]
    assert data["beside"] == "jas of second"
    assert data["methods"]["jas of second"]["strips"] == data["methods"]["jas"]["strips"]


def test_runs_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    for name, categories, width in (("run", 3, 40), ("categories", 4, 40), ("layers", 3, 41)):
        write_run(tmp_path / name, categories=categories, images=2, width=width)
    for name in ("categories", "layers"):
        with pytest.raises(ArgumentError, match=rf"`RUN2` must have the {name} of `RUN`.*{name} has .*, and "):
            write_report(tmp_path / "run", beside=tmp_path / name)
