"""The strip of a path in a browser: its names, its links, paths of images, two paths."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By

from nplight.report import read_run, write_report
from nplight.report.page_data import contents
from nplight.report.strip_view import strip_view
from tests.report.browser import chromium, complaints, opened
from tests.report.choices import choose, path_names, path_shown
from tests.report.samples import data_of, write_run

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium: .ci/run installs it")

RUNS = (("before", "jas"), ("after", "activation"))
STRIP = """
  const PARTS = [".neuron", "small", "small + small"];
  return [...document.querySelectorAll("#strip li")].map((column) => [...column.querySelectorAll(".box")].map(
    (box) => [...PARTS.map((part) => box.querySelector(part)?.textContent ?? ""), box.style.top]));
"""
LINKS = """
  return [...document.querySelectorAll("#strip .links path")].map(
    (path) => [path.getAttribute("d"), Number(path.getAttribute("stroke-width")), path.textContent]);
"""


def test_the_strip_names_the_path_of_every_category_and_search(driver: Chrome, finished: Path) -> None:
    run = read_run(finished)
    with opened(driver, finished / "report.html"):
        for search in run.methods:
            choose(driver, search=search)
            paths = run.category_paths(search)
            assert paths is not None
            for category in range(10):
                choose(driver, category=category)
                assert path_shown(driver) == path_names(paths.neurons[category])
                title = f"Path of category {category}, search {search}"
                assert driver.find_element(By.CSS_SELECTOR, "#strip h3").text == title
        assert complaints(driver) == []


@pytest.mark.parametrize("category", [0, 6])
def test_the_script_draws_what_the_template_writes(driver: Chrome, finished: Path, category: int) -> None:
    page = contents(read_run(finished))
    names, pictures = page.data["names"], page.data["pictures"]
    view = strip_view(page.strips["jas"], category, search="jas", names=names, pictures=pictures)
    with opened(driver, finished / "report.html", state=f"#c={category}"):
        boxes = [
            [[box.name, box.text if box.name else "", box.score, f"{box.top}px"] for box in column]
            for column in view.columns
        ]
        assert driver.execute_script(STRIP) == boxes
        drawn = driver.execute_script(LINKS)
        assert [text for *_, text in drawn] == [link.text for link in view.links]
        assert [width for _, width, _ in drawn] == pytest.approx([link.width for link in view.links], abs=0.11)
        others = [one.text for one in driver.find_elements(By.CSS_SELECTOR, "#strip .other")]
        assert others == view.others


def test_an_image_pointed_at_or_chosen_lays_its_path_over_the_strip(driver: Chrome, finished: Path) -> None:
    search = data_of((finished / "report.html").read_text())["methods"]["jas"]
    layers = len(read_run(finished).widths)
    with opened(driver, finished / "report.html", state="#c=2"):
        button = driver.find_elements(By.CSS_SELECTOR, "#own-paths button")[1]
        driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
        assert driver.find_elements(By.CSS_SELECTOR, "#strip .own") == []
        ActionChains(driver).move_to_element(button).perform()
        shown = driver.execute_script(
            "return [...document.querySelectorAll('#strip .on .neuron')].map((link) => link.textContent)"
        )
        image = search["start"][2] + 1
        own = search["paths"][image * layers : (image + 1) * layers]
        assert shown == [f"L{layer}·{neuron}" for layer, neuron in enumerate(own)]
        assert len(driver.find_elements(By.CSS_SELECTOR, "#strip .own path")) == layers - 1
        button.click()
        ActionChains(driver).move_to_element(driver.find_element(By.ID, "images-of")).perform()
        assert driver.find_elements(By.CSS_SELECTOR, "#strip .own")
        driver.refresh()
        pressed = driver.find_elements(By.CSS_SELECTOR, "#own-paths [aria-pressed='true']")
        assert len(pressed) == 1
        assert pressed[0].text.startswith(search["files"][image])
        assert driver.find_elements(By.CSS_SELECTOR, "#strip .own")
        assert complaints(driver) == []


def test_two_categories_share_what_their_paths_share(driver: Chrome, finished: Path) -> None:
    run = read_run(finished)
    paths = run.category_paths("jas")
    assert paths is not None
    with opened(driver, finished / "report.html", state="#c=3&d=5"):
        one, other = path_names(paths.neurons[3]), path_names(paths.neurons[5])
        assert (path_shown(driver), path_shown(driver, "#strip-beside")) == (one, other)
        shared = [name for own, others in zip(one, other) for name in own if name in others]
        sentence = driver.find_element(By.ID, "sentence").text
        total = sum(map(len, one))
        assert sentence.startswith(f"3 and 5 share {len(shared)} of {total} neurons in search jas")
        assert sentence.endswith(f": {', '.join(shared)}." if shared else "jas.")
        marked = driver.find_elements(By.CSS_SELECTOR, "#strip .shared .neuron")
        assert [link.text for link in marked] == shared
        assert len(driver.find_elements(By.CSS_SELECTOR, "#joints path")) == len(shared)
        rows = driver.find_elements(By.CSS_SELECTOR, "#support tbody tr")
        assert {row.text.split()[0] for row in rows} == {name for path in (*one, *other) for name in path}
        assert len(driver.find_elements(By.CSS_SELECTOR, "#samples > div")) == 2
        choose(driver, beside="")
        assert not driver.find_element(By.ID, "compared").is_displayed()


def test_the_support_in_both_is_that_of_the_counts(driver: Chrome, finished: Path) -> None:
    run = read_run(finished)
    neurons = run.image_paths("jas")["neurons"]
    labels = run.image_paths("jas")["label"]
    with opened(driver, finished / "report.html", state="#c=3&d=5"):
        for row in driver.find_elements(By.CSS_SELECTOR, "#support tbody tr"):
            name, *_, first, second = row.text.split()
            layer, neuron = map(int, name[1:].split("·"))
            for label, text in ((3, first), (5, second)):
                share = (neurons[labels == label][:, layer] == neuron).any(1).double().mean().item()  # type: ignore[index, union-attr]
                assert text == f"{100 * share:.1f}%"


def test_two_searches_are_compared(driver: Chrome, finished: Path) -> None:
    run = read_run(finished)
    with opened(driver, finished / "report.html", state="#c=4"):
        choose(driver, other="random")
        paths = run.category_paths("random")
        assert paths is not None
        assert path_shown(driver, "#strip-beside") == path_names(paths.neurons[4])
        assert driver.find_element(By.ID, "sentence").text.startswith("jas and random share ")


def test_two_runs_are_compared(driver: Chrome, finished: Path, tmp_path: Path) -> None:
    run, other = (write_run(tmp_path / name, categories=4, images=5, methods=(method,)) for name, method in RUNS)
    with opened(driver, write_report(run.path, beside=other.path), state="#c=2"):
        choose(driver, other="activation of after")
        sentence = driver.find_element(By.ID, "sentence").text
        # The made-up category paths of both are the same.
        assert sentence.startswith("jas and activation of after share 4 of 4 neurons for category 2: L0·")
        paths = read_run(other.path).category_paths("activation")
        assert paths is not None
        assert path_shown(driver, "#strip-beside") == path_names(paths.neurons[2])
        assert complaints(driver) == []
    with opened(driver, run.path / "compared.html"):
        assert driver.find_element(By.ID, "other").get_property("value") == "activation of after"
