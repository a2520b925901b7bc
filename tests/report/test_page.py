from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import plotly.io
import pytest
from PIL import Image

from nplight.cli import main
from nplight.errors import ArgumentError, RunFolderError
from nplight.report import export_figures, log_figures, read_run, report_html, write_report
from nplight.report.page import packed
from nplight.report.page_data import within_budget
from tests.report.browser import chromium
from tests.report.samples import HOSTILE, write_run


def data_of(page: str) -> Any:
    found = re.search(r'id="data">([^<]+)<', page)
    assert found is not None
    return json.loads(gzip.decompress(base64.b64decode(found[1])))


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


def test_the_tables_hold_the_figures_of_the_run(finished: Path) -> None:
    page = report_html(read_run(finished))
    metrics = json.loads((finished / "metrics.json").read_text())
    for row in metrics["conditions"]:
        if row["condition"] in ("removed", "enhanced"):
            shown = f"{100 * row['probability_deviation']:+.2f}".replace("-", "−")
            assert f'Δ prob. %">{shown}<br>' in page
    for claim in metrics["claims"]:
        assert f"<b>{claim['verdict']}</b>" in page
    for pair in metrics["paths"]["jas"]["most_similar"]:
        first, second = pair["categories"]
        shown = f"{pair['value']:.3f}<br><small>{pair['low']:.3f} … {pair['high']:.3f}<"
        assert f'{first} – {second}</th><td data-head="cosine">{shown}' in page


def test_what_a_run_lacks_is_said(tmp_path: Path, finished: Path) -> None:
    write_run(tmp_path / "searched", categories=2, images=2, about=False)
    page = report_html(read_run(tmp_path / "searched"))
    assert "it was searched, and not evaluated" in page
    assert "No pictures were kept" in page
    assert data_of(page)["widths"] == list(read_run(tmp_path / "searched").widths)
    (tmp_path / "tested").mkdir()
    (tmp_path / "tested" / "metrics.json").write_bytes((finished / "metrics.json").read_bytes())
    page = report_html(read_run(tmp_path / "tested"))
    assert page.count("This run holds no image paths") == 3
    assert set(data_of(page)["figures"]) == {"pruning", "faithfulness"}


def test_no_name_reaches_the_page_unescaped(hostile: Path) -> None:
    page = report_html(read_run(hostile))
    outside = re.sub(r"(?s)<script.*?</script>", "", page)
    assert "window.hacked" in outside
    for name in HOSTILE:
        assert not re.search(r"[<>]", name) or name not in outside
    assert "<img" not in outside
    assert page.count("<script") == 3
    assert data_of(page)["names"][0] == HOSTILE[0]


def test_packed_text_comes_back() -> None:
    text = "</script> ☃ " * 9
    assert gzip.decompress(base64.b64decode(packed(text))).decode() == text
    assert packed(text) == packed(text)


def test_pictures_within_the_budget_come_in_turn() -> None:
    pictures = {
        "grid": [1, 1],
        "pictures": [{"file": str(place), "label": 0, "source": "x" * 10} for place in range(6)],
        "samples": {"0": [[0, 0.1], [1, 0.1]], "1": [[2, 0.1], [3, 0.1]]},
        "drivers": [{"layer": 0, "neuron": 3, "images": [[0, 0.5, [1]], [5, 0.4, [1]]]}],
    }
    assert within_budget({}, 100) == {}
    for characters, files in ((0, ""), (15, "0"), (21, "02"), (31, "021"), (41, "0213"), (1000, "02135")):
        kept = within_budget(pictures, characters)
        assert "".join(one["file"] for one in kept["pictures"]) == files
        shown = {entry[0] for entries in kept["samples"].values() for entry in entries}
        assert shown <= set(range(len(files)))
    everything = within_budget(pictures, 1000)
    assert everything["samples"] == {"0": [[0, 0.1], [2, 0.1]], "1": [[1, 0.1], [3, 0.1]]}
    assert everything["drivers"][0]["images"] == [[0, 0.5, [1]], [4, 0.4, [1]]]


class WandbLogger:
    """Stands for Lightning's, which needs a package and an account."""

    def __init__(self) -> None:
        self.experiment = self
        self.logged: dict[str, Any] = {}

    def log(self, values: dict[str, Any]) -> None:
        self.logged |= values


class MLFlowLogger:
    run_id = "7"

    def __init__(self) -> None:
        self.experiment = self
        self.logged: dict[str, Any] = {}

    def log_figure(self, run: str, figure: Any, name: str) -> None:
        self.logged[f"{run} {name}"] = figure


def test_loggers_that_take_figures_get_them(finished: Path) -> None:
    run, wandb, mlflow = read_run(finished), WandbLogger(), MLFlowLogger()
    assert log_figures([wandb, object(), mlflow], run, step=3) == ["WandbLogger", "MLFlowLogger"]
    assert set(wandb.logged) == {"paths/pruning", "paths/faithfulness", "paths/selectivity", "trainer/global_step"}
    assert set(mlflow.logged) == {f"7 paths/{name}.html" for name in ("pruning", "faithfulness", "selectivity")}


@pytest.mark.skipif(chromium() is None, reason="no Chromium: .ci/run installs it")
def test_the_figures_are_exported_for_a_manuscript(finished: Path, tmp_path: Path) -> None:
    main(["report", str(finished), "--figures", str(tmp_path)])
    charts = set(data_of((finished / "report.html").read_text())["figures"])
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}.{form}" for name in charts for form in ("svg", "png")
    }
    assert len(charts) == 7
    for name in charts:
        picture = Image.open(tmp_path / f"{name}.png").convert("RGB")
        assert picture.width == 1800
        assert len(picture.getcolors(10**7)) > 20
    drawing = (tmp_path / "pruning.svg").read_text()
    assert all(word in drawing for word in ("<svg", "Accuracy against neurons kept", "50% pruned", "random"))


def test_the_export_says_what_it_needs(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unable(**_: Any) -> None:
        raise ValueError("no kaleido")

    monkeypatch.setattr(plotly.io, "write_images", unable)
    with pytest.raises(ArgumentError, match=r"`--figures` needs nplight\[figures\]"):
        export_figures(finished, tmp_path)
