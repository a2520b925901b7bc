"""The names of neurons on the strip and on the card, in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from nplight.report import read_run, write_report
from nplight.report.concept_file import write_names
from nplight.results import ConceptName
from nplight.store import RunFolder
from tests.report.browser import chromium, complaints, opened
from tests.report.samples import write_run

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium: .ci/run installs it")


def test_strip_table_and_card_name_a_neuron_with_its_score(driver: Chrome, tmp_path: Path) -> None:
    write_run(tmp_path, categories=2, images=9)
    paths = read_run(tmp_path).category_paths("jas")
    assert paths is not None
    first, second, third, _ = ((layer, neurons[0]) for layer, neurons in enumerate(paths.neurons[0].tolist()))
    names = {
        first: ConceptName("<b>loops", 0.44, 0.1),
        second: ConceptName("ink", 0.05, 0.1),
        third: ConceptName("", float("nan"), float("nan")),
    }
    write_names(RunFolder(tmp_path), names, {})
    page = write_report(tmp_path)
    assert page.read_text().count('<em class="concept"') == 3
    cards = {
        first: "“<b>loops”, correlation 0.44 over the images; the words of other images give less than 0.10",
        second: "No word agrees with its values beyond chance: the best is “ink”, correlation 0.05",
        third: "has one value for all images, and no word agrees with it",
    }
    for (layer, neuron), text in cards.items():
        with opened(driver, page, state=f"#c=0&n=L{layer}N{neuron}"):
            shown = [one.text for one in driver.find_elements(By.CSS_SELECTOR, "#strip .concept")]
            assert shown == ["0.44 <b>loops", "at chance", "at chance"]
            assert text in driver.find_element(By.CSS_SELECTOR, "#card .concept").text
            table = driver.find_element(By.CSS_SELECTOR, "#strip-table table").get_attribute("textContent")
            assert "0.44 <b>loops" in table
            assert complaints(driver) == []


def test_a_page_without_names_has_no_place_for_them(driver: Chrome, tmp_path: Path) -> None:
    write_run(tmp_path, categories=2, images=9)
    with opened(driver, write_report(tmp_path), state="#c=0"):
        assert driver.find_elements(By.CSS_SELECTOR, ".concept") == []
        assert "word" not in driver.find_element(By.CSS_SELECTOR, "#strip-table thead").get_attribute("textContent")
