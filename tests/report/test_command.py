from __future__ import annotations

from pathlib import Path

import pytest

from nplight.cli import main
from nplight.errors import RunFolderError
from nplight.report import read_run, write_report
from tests.report.samples import write_run


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
