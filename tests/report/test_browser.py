from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By

from nplight.metrics import category_similarity
from nplight.report import clustered, neuron_use, read_rows, read_run, write_report
from nplight.report.path_figures import draw_neuron_use
from tests.report.browser import LAPTOP, PHONE, chromium, complaints, opened, requests, see, see_all
from tests.report.choices import choose, path_names, path_shown
from tests.report.samples import HOSTILE, write_run

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium: .ci/run installs it")

LOCAL = {"file", "data", "blob"}
SHOWN = "const plot = document.querySelector(`[data-figure='${arguments[0]}']`); return plot.data"

# Titles of axes on the labels of their ticks, and cells of tables beyond their frames.
OVERLAPS = """
  const touch = (one, other) => {
    const [a, b] = [one.getBoundingClientRect(), other.getBoundingClientRect()];
    return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  };
  const found = [...document.querySelectorAll(".table .scroll")].filter((one) => one.scrollWidth > one.clientWidth + 1);
  for (const plot of document.querySelectorAll(".plot")) {
    const titles = [...plot.querySelectorAll(".g-xtitle, .g-ytitle, .g-x3title")];
    const ticks = [...plot.querySelectorAll(".xtick text, .ytick text")];
    found.push(...titles.filter((title) => ticks.some((tick) => touch(title, tick))));
  }
  return found.map((one) => one.outerHTML.slice(0, 200));
"""


def holds(driver: Chrome) -> None:
    """Nothing failed, nothing left, nothing ran that came from outside, nothing is wider than the screen."""
    assert complaints(driver) == []
    assert {"file"} <= requests(driver) <= LOCAL
    assert driver.execute_script("return window.hacked") is None
    wide = driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0
    assert driver.execute_script(OVERLAPS) == []
    empty = (
        "return [...document.querySelectorAll('.plot[data-drawn]')].filter((one) => !one.querySelector('svg')).length"
    )
    assert driver.execute_script(empty) == 0


def traces(driver: Chrome, name: str) -> list[dict[str, Any]]:
    see(driver, name)
    found: list[dict[str, Any]] = driver.execute_script(SHOWN, name)
    return found


@pytest.mark.parametrize("size", [LAPTOP, PHONE])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_holds_on_a_laptop_and_a_phone(
    driver: Chrome, finished: Path, size: tuple[int, int], dark: bool
) -> None:
    with opened(driver, finished / "report.html", size, dark=dark):
        assert see_all(driver) == [
            "normalised", "pruning", "dose", "depth", "stability", "sanity", "use", "similarity", "map", "selectivity",
        ]  # fmt: skip
        holds(driver)
        ends = "return [...document.querySelectorAll('svg.main-svg')].map((one) => one.getBoundingClientRect().right)"
        assert max(driver.execute_script(ends)) <= size[0]
        assert driver.execute_script("return document.documentElement.dataset.theme") == ("dark" if dark else "light")
        assert len(driver.find_elements(By.CSS_SELECTOR, "#samples img")) == 4
        assert len(driver.find_elements(By.CSS_SELECTOR, "#strip canvas")) == len(read_run(finished).widths)


def test_charts_are_drawn_as_they_come_into_view(driver: Chrome, finished: Path) -> None:
    with opened(driver, finished / "report.html"):
        assert driver.find_elements(By.CSS_SELECTOR, "#strip .box.path")
        assert driver.find_elements(By.CSS_SELECTOR, ".plot svg") == []
        see(driver, "map")
        undrawn = "return document.querySelector(\"[data-figure='pruning'] svg\")"
        assert driver.execute_script(undrawn) is None


def test_choosing_a_category_draws_what_the_functions_draw(driver: Chrome, finished: Path) -> None:
    run = read_run(finished)
    assert run.table is not None
    _, counts = read_rows(run.table.where(search="random"), categories=10, width=max(run.widths), per_category=50)
    with opened(driver, finished / "report.html"):
        choose(driver, search="random", category=7, beside=4)
        (heat,) = traces(driver, "use")
        wanted = draw_neuron_use(neuron_use(counts, limit=999), run.names, 7, run.widths).data[0]
        assert np.allclose(heat["z"], wanted.z, atol=0.05)
        similarity = category_similarity(counts)
        order = clustered(similarity)
        (heat,) = traces(driver, "similarity")
        wanted = similarity.numpy()[np.ix_(order, order)]
        assert np.allclose(np.array(heat["z"], dtype=float), wanted, atol=0.0051, equal_nan=True)
        assert list(map(int, heat["x"])) == order
        rings = [len(trace["x"]) for trace in traces(driver, "map")[-2:]]
        assert rings == [4, 4]
        cards = [one.text.splitlines() for one in driver.find_elements(By.CSS_SELECTOR, "#samples figure")]
        assert [line.split()[0] for line in cards[0]] == ["clean", "removed", "enhanced"]
        tables = driver.find_elements(By.CSS_SELECTOR, "[data-search]:not([hidden])")
        assert {part.get_attribute("data-search") for part in tables} == {"random"}
        holds(driver)


def test_the_theme_is_switched_by_a_click_and_by_the_keyboard(driver: Chrome, finished: Path) -> None:
    state = """
      const plot = document.querySelector(".plot");
      return [getComputedStyle(document.body).backgroundColor, plot._fullLayout.font.color]
    """
    with opened(driver, finished / "report.html"):
        see(driver, "pruning")
        light = driver.execute_script(state)
        driver.find_element(By.ID, "theme").click()
        see(driver, "pruning")
        dark = driver.execute_script(state)
        assert light[0] != dark[0]
        assert light[1] != dark[1]
        driver.find_element(By.ID, "theme").send_keys(Keys.ENTER)
        see(driver, "pruning")
        assert driver.execute_script(state) == light
        holds(driver)


def test_every_control_is_reached_by_the_keyboard(driver: Chrome, finished: Path) -> None:
    with opened(driver, finished / "report.html"):
        reached = set()
        for _ in range(60):
            ActionChains(driver).send_keys(Keys.TAB).perform()
            reached.add(driver.execute_script("return document.activeElement.id || document.activeElement.className"))
        controls = {"theme", "search", "category", "previous", "next", "beside", "other", "copy", "category-find"}
        assert controls | {"sort", "csv", "link", "neuron"} <= reached


@pytest.mark.parametrize("size", [LAPTOP, PHONE])
def test_hostile_names_are_shown_and_do_nothing(driver: Chrome, hostile: Path, size: tuple[int, int]) -> None:
    write_report(hostile)
    with opened(driver, hostile / "report.html", size):
        for number in range(len(HOSTILE)):
            choose(driver, category=number)
        options = driver.execute_script("return [...document.getElementById('names').options].map((o) => o.value)")
        assert options[0] == HOSTILE[0]
        assert options[-2:] == ["crane (8)", "crane (9)"]
        choose(driver, category=4, beside=1)
        assert HOSTILE[4] in driver.find_element(By.CSS_SELECTOR, "#strip h3").text
        assert HOSTILE[1] in driver.find_element(By.ID, "sentence").text
        see_all(driver)
        assert driver.find_elements(By.CSS_SELECTOR, ".plot a, main img[src='x']") == []
        holds(driver)


@pytest.mark.parametrize("images", [1, 12])
def test_one_category_is_enough(driver: Chrome, tmp_path: Path, images: int) -> None:
    write_run(tmp_path, categories=1, images=images)
    with opened(driver, write_report(tmp_path)):
        see_all(driver)
        holds(driver)
        assert len(driver.find_elements(By.CSS_SELECTOR, "#own-paths button")) == images


def test_a_run_without_paths_has_a_page(driver: Chrome, finished: Path, tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_bytes((finished / "metrics.json").read_bytes())
    with opened(driver, write_report(tmp_path)):
        see_all(driver)
        holds(driver)
        assert not driver.find_element(By.ID, "choice").is_displayed()


def test_twenty_thousand_images_of_a_thousand_categories(driver: Chrome, tmp_path: Path) -> None:
    """A page below 6 MB, made in less than 2 GB by a process of its own, that opens and answers."""
    names = [f"class {number}, a thing of some length" for number in range(1000)]
    write_run(tmp_path, categories=1000, images=20, layers=12, width=3072, names=names, parts=20)
    # t-SNE in a quarter of its iterations: three quarters of the time, and none of the memory.
    code = """
import functools, pathlib, re, sys
import sklearn.manifold
from nplight.report import write_report
sklearn.manifold.TSNE = functools.partial(sklearn.manifold.TSNE, max_iter=250)
write_report(sys.argv[1])
# Not `ru_maxrss`, which starts at the memory of the process that called this one.
print(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path], check=True, timeout=300, capture_output=True)
    assert int(done.stdout) * 1024 < 2e9
    page = tmp_path / "report.html"
    assert page.stat().st_size < 6e6
    paths = read_run(tmp_path).category_paths("jas")
    assert paths is not None
    with opened(driver, page, PHONE):
        choose(driver, category="class 777")
        assert path_shown(driver) == path_names(paths.neurons[777])
        assert len(driver.find_elements(By.CSS_SELECTOR, "#nearest tbody tr")) <= 10
        assert driver.find_elements(By.CSS_SELECTOR, "[data-figure='similarity']") == []
        see_all(driver)
        holds(driver)
