from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path

from nplight.report import page as page_module
from nplight.report import read_run, report_html
from nplight.report.page import packed
from tests.report.samples import HOSTILE, data_of, write_run


def test_the_tables_hold_the_figures_of_the_run(finished: Path) -> None:
    page = report_html(read_run(finished))
    metrics = json.loads((finished / "metrics.json").read_text())
    for row in metrics["conditions"]:
        if row["condition"] in ("removed", "enhanced") and row["tokens"] == "path" and row["layers"] is None:
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
    assert set(data_of(page)["figures"]) == {
        "normalised", "pruning", "faithfulness", "dose", "depth"
    }  # fmt: skip


def test_no_name_reaches_the_page_unescaped(hostile: Path) -> None:
    page = report_html(read_run(hostile))
    outside = re.sub(r"(?s)<script.*?</script>", "", page)
    assert "window.hacked" in outside
    for name in HOSTILE:
        assert not re.search(r"[<>]", name) or name not in outside
    charts = outside.count('<img class="static" src="data:image/svg+xml;base64,')
    assert charts == 7
    assert outside.count("<img") == charts + outside.count('<img src="data:image/')
    assert outside.count('<img src="data:image/') == len(read_run(hostile).widths)
    assert page.count("<script") == 3
    assert data_of(page)["names"][0] == HOSTILE[0]


def test_packed_text_comes_back() -> None:
    text = "</script> ☃ " * 9
    assert gzip.decompress(base64.b64decode(packed(text))).decode() == text
    assert packed(text) == packed(text)


def test_every_file_of_the_script_is_on_the_page() -> None:
    files = {path.stem for path in (Path(page_module.__file__).parent / "assets").glob("*.js")}
    assert sorted(page_module.SCRIPTS) == sorted(files)
