"""What the removal of a neuron alone does, on its card in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from nplight.metrics import Estimate
from nplight.report import read_run, write_report
from nplight.report.alone_file import write_alone
from nplight.results import RemovedAlone
from nplight.store import RunFolder
from tests.report.browser import chromium, complaints, opened
from tests.report.samples import write_run

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium: .ci/run installs it")


def test_the_card_has_the_change_its_interval_and_the_control(driver: Chrome, tmp_path: Path) -> None:
    write_run(tmp_path, categories=2, images=9)
    paths = read_run(tmp_path).category_paths("jas")
    assert paths is not None
    neuron = int(paths.neurons[0, 1, 0])
    with opened(driver, write_report(tmp_path), state=f"#c=0&n=L1N{neuron}"):
        text = driver.find_element(By.ID, "alone").text
        assert "was not measured in this run; report RUN --alone measures it" in text
    removed, random = Estimate(-0.0213, -0.03, -0.01, 9), Estimate(0.0011, 0.0, 0.002, 9)
    measured = RemovedAlone(1, neuron, 0, removed, random, Estimate(-0.0224, -0.031, -0.011, 9))
    write_alone(RunFolder(tmp_path), [measured], {})
    page = write_report(tmp_path)
    with opened(driver, page, state=f"#c=0&n=L1N{neuron}"):
        cells = [cell.text for cell in driver.find_elements(By.CSS_SELECTOR, "#alone tbody th, #alone tbody td")]
        assert cells == ["0", "−2.13% (−3.00% … −1.00%)", "0.11%", "−2.24% (−3.10% … −1.10%)", "9"]
        assert complaints(driver) == []
    with opened(driver, page, state=f"#c=0&n=L1N{(neuron + 1) % 40}"):
        assert "is on no category's path" in driver.find_element(By.ID, "alone").text
