from __future__ import annotations

from pathlib import Path
from typing import Any

import plotly.io
import pytest
from PIL import Image

from nplight.cli import main
from nplight.errors import ArgumentError
from nplight.report import export_figures
from tests.report.browser import chromium
from tests.report.samples import data_of


@pytest.mark.skipif(chromium() is None, reason="no Chromium: .ci/run installs it")
def test_the_figures_are_exported_for_a_manuscript(finished: Path, tmp_path: Path) -> None:
    main(["report", str(finished), "--figures", str(tmp_path)])
    charts = set(data_of((finished / "report.html").read_text())["figures"])
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}.{form}" for name in charts for form in ("svg", "png")
    }
    assert len(charts) == 8
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
