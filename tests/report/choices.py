"""Choices on a page, as a reader makes them, and what its strip then shows."""

from __future__ import annotations

from pathlib import Path

from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select
from torch import Tensor

from tests.report.browser import drawn

NAMES = """
  return [...document.querySelectorAll(arguments[0] + " li")].map(
    (column) => [...column.querySelectorAll(".box.path .neuron")].map((link) => link.textContent));
"""


def choose(
    driver: Chrome,
    *,
    search: str | None = None,
    category: int | str | None = None,
    beside: int | str | None = None,
    other: str | None = None,
) -> None:
    """Fill in fields of the page's selection."""
    for name, value in (("search", search), ("other", other)):
        if value is not None:
            Select(driver.find_element(By.ID, name)).select_by_value(value)
    for name, text in (("category", category), ("beside", beside)):
        if text is not None:
            field = driver.find_element(By.ID, name)
            field.clear()
            field.send_keys(str(text), Keys.ENTER)
    drawn(driver)


def path_shown(driver: Chrome, strip: str = "#strip") -> list[list[str]]:
    """The names in the boxes of the path, per layer."""
    shown: list[list[str]] = driver.execute_script(NAMES, strip)
    return shown


def path_names(neurons: Tensor) -> list[list[str]]:
    """The names of the neurons of a path (layers, K)."""
    return [[f"L{layer}·{neuron}" for neuron in own] for layer, own in enumerate(neurons.tolist())]


def hash_of(driver: Chrome) -> str:
    """The part of the address that says what is chosen."""
    return str(driver.execute_script("return location.hash"))


def downloaded(folder: Path) -> list[Path]:
    """The finished downloads in a folder."""
    return [path for path in folder.iterdir() if path.suffix == ".csv"]
