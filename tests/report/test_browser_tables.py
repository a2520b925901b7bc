"""Tables in a browser: sorted, filtered, downloaded."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.report.browser import chromium, complaints, opened
from tests.report.choices import choose, downloaded
from tests.report.samples import data_of

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium: .ci/run installs it")


def column(table: WebElement, number: int) -> list[str]:
    return [
        row.find_elements(By.CSS_SELECTOR, "th, td")[number].text
        for row in table.find_elements(By.CSS_SELECTOR, "tbody tr")
    ]


def headings(table: WebElement) -> list[WebElement]:
    return table.find_elements(By.CSS_SELECTOR, "thead th")


def test_every_table_is_sorted_by_a_click_on_a_heading(driver: Chrome, finished: Path) -> None:
    with opened(driver, finished / "report.html"):
        tables = [table for table in driver.find_elements(By.CSS_SELECTOR, ".table") if table.is_displayed()]
        assert len(tables) > 5
        for table in tables:
            button = headings(table)[-1].find_element(By.TAG_NAME, "button")
            driver.execute_script("arguments[0].click()", button)
            assert headings(table)[-1].get_attribute("aria-sort") == "ascending"
            upward = column(table, -1)
            driver.execute_script("arguments[0].click()", headings(table)[-1].find_element(By.TAG_NAME, "button"))
            assert headings(table)[-1].get_attribute("aria-sort") == "descending"
            assert sorted(upward) == sorted(column(table, -1))
        assert complaints(driver) == []


def test_categories_are_sorted_by_value_and_found_by_name(driver: Chrome, finished: Path) -> None:
    columns = data_of((finished / "report.html").read_text())["methods"]["random"]["categories"]
    with opened(driver, finished / "report.html"):
        choose(driver, search="random")
        table = driver.find_element(By.ID, "by-category")
        heads = [head.text.split("\n")[0] for head in headings(table)]
        headings(table)[heads.index("path shared by two images")].find_element(By.TAG_NAME, "button").click()
        values = {str(category): columns["alike"][category] for category in range(10)}
        assert column(table, 0) == sorted(values, key=lambda name: (values[name], int(name)))
        driver.find_element(By.ID, "category-find").send_keys("7")
        assert column(table, 0) == ["7"]
        table.find_element(By.CSS_SELECTOR, "tbody .link").click()
        assert driver.find_element(By.CSS_SELECTOR, "#strip h3").text == "Path of category 7, search random"


def test_a_table_is_downloaded_as_it_is_sorted(driver: Chrome, finished: Path, tmp_path: Path) -> None:
    behaviour = {"behavior": "allow", "downloadPath": str(tmp_path), "eventsEnabled": False}
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    with opened(driver, finished / "report.html", state="#c=1&d=2&m=jas"):
        for part in ("#by-category", "#support .table"):
            table = driver.find_element(By.CSS_SELECTOR, part)
            driver.execute_script("arguments[0].click()", table.find_element(By.CLASS_NAME, "csv"))
        WebDriverWait(driver, 10).until(lambda _: len(downloaded(tmp_path)) == 2)
        categories, support = sorted(downloaded(tmp_path))
        assert categories.name == "categories.csv"
        assert support.name == "support-of-the-neurons-of-1-and-2.csv"
        table = driver.find_element(By.CSS_SELECTOR, "#support table")
        with support.open(newline="") as file:
            head, *rows = csv.reader(file)
        assert head == [heading.text.split("\n")[0] for heading in headings(table)]
        assert [row[0] for row in rows] == column(table, 0)
        with categories.open(newline="") as file:
            assert len(list(csv.reader(file))) == 11
