"""Figures for a paper, as files."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from nplight.cli import main
from nplight.errors import ArgumentError
from nplight.report import FigureSettings, export_figures
from nplight.report.run_charts import CHARTS
from tests.report.samples import write_run


def test_every_figure_is_written_in_every_format_and_again_alike(finished: Path, tmp_path: Path) -> None:
    arguments = ["--category", "3,5", "--width", "85mm", "--format", "pdf,svg,png"]
    main(["report", str(finished), "--figures", str(tmp_path / "a"), *arguments, "--quiet"])
    written = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    names = [*CHARTS, "similarity", "selectivity", "path_3", "path_5"]
    assert set(written) == {f"{name}.{form}" for name in names for form in ("pdf", "svg", "png")}
    for name in names:
        assert b"/FontFile2" in written[f"{name}.pdf"]
        picture = Image.open(tmp_path / "a" / f"{name}.png").convert("RGB")
        assert picture.width == pytest.approx(85 / 25.4 * 300, abs=1)
        assert picture.getpixel((0, picture.height - 1)) == (255, 255, 255)
        assert len(picture.getcolors(10**7) or ()) > 20
    settings = FigureSettings(categories=[3], width=85, formats=["pdf"])
    for path in export_figures(finished, tmp_path / "b", settings):
        assert path.read_bytes() == written[path.name]


def test_the_strip_is_that_of_the_search_that_is_asked_for(tmp_path: Path) -> None:
    write_run(tmp_path / "run", categories=2, images=3, methods=["jas", "random"])
    drawn = {}
    for search in ("jas", "random"):
        settings = FigureSettings(categories=[1], searches=[search], formats=["svg"])
        export_figures(tmp_path / "run", tmp_path / search, settings)
        drawn[search] = (tmp_path / search / "path_1.svg").read_bytes()
    assert drawn["jas"] != drawn["random"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--figures", "F", "--category", "12"], "`category` must be a number in 0 … 9"),
        (["--figures", "F", "--width", "85"], "`--width` must be a number with its unit"),
        (["--figures", "F", "--format", "jpg"], "`--format` must be among pdf, svg, png, got jpg"),
        (["--figures", "F", "--search", "nosuch"], "`searches` must name 1 to 8 of jas, random, got nosuch"),
        (["--category", "3"], "`--category` is of the figures: give `--figures DIR` with it"),
        (["--figures", "file/F"], "`figures` must be a folder that can be written to, got file/F: Not a directory"),
    ],
)
def test_what_is_wrong_is_said_before_work_starts(
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    before = (finished / "report.html").stat().st_mtime_ns
    with pytest.raises(SystemExit) as caught:
        main(["report", str(finished), *arguments])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
    assert (finished / "report.html").stat().st_mtime_ns == before


def test_a_run_without_metrics_has_the_strips_and_one_without_paths_nothing(tmp_path: Path) -> None:
    write_run(tmp_path / "run", categories=2, images=3)
    settings = FigureSettings(formats=["svg"])
    names = {path.name for path in export_figures(tmp_path / "run", tmp_path / "figures", settings)}
    assert names == {"similarity.svg", "path_0.svg", "path_1.svg"}
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "metrics.json").write_text('{"conditions": []}')
    with pytest.raises(ArgumentError, match="`directory` must be a run with paths or metrics to draw"):
        export_figures(tmp_path / "empty", tmp_path / "none", settings)
