"""Debian's Chromium without a screen, and what it said and asked for while a page was open."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.support.ui import WebDriverWait

LAPTOP, PHONE = (1366, 768), (390, 844)
READY = "return document.body.dataset.ready === 'true'"


def chromium() -> tuple[str, str] | None:
    """Chromium and its driver, where both are installed."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


@contextmanager
def started() -> Iterator[Chrome]:
    """A browser of its own."""
    programs = chromium()
    assert programs is not None
    options = ChromeOptions()
    options.binary_location = programs[0]
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", "hide-scrollbars"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=ChromeService(programs[1]))
    try:
        yield driver
    finally:
        driver.quit()


@contextmanager
def opened(
    driver: Chrome, page: Path, size: tuple[int, int] = LAPTOP, *, dark: bool = False, state: str = ""
) -> Iterator[None]:
    """A page in a tab of its own, once it is drawn; what other pages said is forgotten."""
    (first,) = driver.window_handles
    driver.switch_to.new_window("tab")
    for log in ("browser", "performance"):
        driver.get_log(log)
    try:
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        driver.get(address(page, state))
        drawn(driver)
        yield
    finally:
        driver.close()
        driver.switch_to.window(first)


def drawn(driver: Chrome) -> None:
    """Wait until every chart in view is."""
    WebDriverWait(driver, 120).until(lambda _: driver.execute_script(READY))


def address(page: Path, state: str = "") -> str:
    """The address of a page with a state, such as `#c=3`."""
    return page.resolve().as_uri() + state


def see(driver: Chrome, name: str) -> None:
    """Bring a chart into view and wait until it is drawn."""
    plot = driver.find_element("css selector", f"[data-figure='{name}']")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", plot)
    WebDriverWait(driver, 30).until(lambda _: plot.get_attribute("data-drawn"))
    drawn(driver)


def see_all(driver: Chrome) -> list[str]:
    """Draw every chart, and name them."""
    names = [str(plot.get_attribute("data-figure")) for plot in driver.find_elements("class name", "plot")]
    for name in names:
        see(driver, name)
    return names


def complaints(driver: Chrome) -> list[str]:
    """What stands on the console: errors and warnings."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def requests(driver: Chrome) -> set[str]:
    """The schemes of everything that was asked for."""
    messages: list[dict[str, Any]] = [
        json.loads(entry["message"])["message"] for entry in driver.get_log("performance")
    ]
    urls = [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]
    return {url.partition(":")[0] for url in urls}


def screenshot(driver: Chrome, path: Path) -> None:
    """The whole page, not the window alone."""
    import base64

    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "format": "png"})
    path.write_bytes(base64.b64decode(shot["data"]))
