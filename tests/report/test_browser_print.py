"""The page on paper, and without JavaScript."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from nplight.report import read_run
from tests.report.browser import address, chromium, complaints, opened
from tests.report.choices import path_names, path_shown

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium: .ci/run installs it")

TONES = "const {color, backgroundColor} = getComputedStyle(document.body); return [color, backgroundColor]"


def test_a_dark_page_is_printed_light_with_the_chosen_category(driver: Chrome, finished: Path) -> None:
    paths = read_run(finished).category_paths("random")
    assert paths is not None
    with opened(driver, finished / "report.html", dark=True, state="#c=6&d=2&m=random"):
        dark = driver.execute_script(TONES)
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        ink, paper = driver.execute_script(TONES)
        assert [ink, paper] != dark
        assert paper == "rgb(255, 255, 255)"
        assert path_shown(driver) == path_names(paths.neurons[6])
        assert path_shown(driver, "#strip-beside") == path_names(paths.neurons[2])
        for part in ("choice", "theme"):
            assert not driver.find_element(By.ID, part).is_displayed()
        assert driver.find_element(By.ID, "strip").is_displayed()
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        WebDriverWait(driver, 20).until(lambda _: driver.execute_script("return window.Plotly !== undefined"))
        printed = driver.execute_cdp_cmd("Page.printToPDF", {})
        assert base64.b64decode(printed["data"])[:5] == b"%PDF-"
        # Also those that never came into view.
        assert driver.find_elements(By.CSS_SELECTOR, ".plot:empty") == []
        assert driver.execute_script("return document.documentElement.dataset.theme") == "dark"
        assert complaints(driver) == []


def test_without_javascript_the_page_has_the_first_path_and_the_tables(driver: Chrome, finished: Path) -> None:
    paths = read_run(finished).category_paths("jas")
    assert paths is not None
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        driver.get(address(finished / "report.html"))
        assert path_shown(driver) == path_names(paths.neurons[0])
        assert len(driver.find_elements(By.CSS_SELECTOR, "#category-rows tr")) == 10
        assert driver.find_element(By.CLASS_NAME, "verdict").is_displayed()
        assert driver.find_element(By.CSS_SELECTOR, "#strip .links path").is_displayed()
        for part in ("choice", "own-paths", "category-find"):
            assert not driver.find_element(By.ID, part).is_displayed()
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
