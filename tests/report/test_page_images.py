"""The charts of the page for print and without JavaScript."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from nplight.report import read_run, report_html
from nplight.report.page_images import page_images
from nplight.report.run_charts import run_charts
from tests.report.browser import chromium, opened, started
from tests.report.samples import data_of, write_run


def test_every_chart_has_an_image_in_the_page(finished: Path) -> None:
    run = read_run(finished)
    images, page = page_images(run), report_html(run)
    assert set(images) == {*run_charts(run), "selectivity"}
    assert set(images) <= set(data_of(page)["figures"])
    for name in set(images) - {"faithfulness"}:
        assert page.count(images[name]) == 1
        drawing = base64.b64decode(images[name].removeprefix("data:image/svg+xml;base64,")).decode()
        assert "<svg" in drawing
        assert "jas</text>" in drawing or name == "selectivity"
    for caption in (chart.caption for name, chart in run_charts(run).items() if name != "faithfulness"):
        assert caption.replace("'", "&#39;") in page


def test_a_run_without_metrics_has_none(tmp_path: Path) -> None:
    assert page_images(read_run(write_run(tmp_path, categories=2, images=2).path)) == {}


@pytest.mark.skipif(chromium() is None, reason="no Chromium: .ci/run installs it")
def test_print_and_a_page_without_javascript_show_the_images(finished: Path, tmp_path: Path) -> None:
    page = (finished / "report.html").read_text()
    script = page.rindex("<script>")
    (tmp_path / "silent.html").write_text(page[:script])
    shown = (
        "return ['.static', '.plot:has(+ .static)'].map((kind) => [...document.querySelectorAll(kind)]"
        ".map((one) => one.getBoundingClientRect().height > 50))"
    )
    with started() as driver:
        driver.get((tmp_path / "silent.html").as_uri())
        images, plots = driver.execute_script(shown)
        assert len(images) == 7
        assert all(images)
        assert not any(plots)
        with opened(driver, finished / "report.html", dark=True):
            images, plots = driver.execute_script(shown)
            assert not any(images)
            assert all(plots)
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
            images, plots = driver.execute_script(shown)
            assert all(images)
            assert not any(plots)
