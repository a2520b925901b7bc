"""What is chosen, in the address: reload, back and forward, keys, links to neurons, fields that complete."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from nplight.report import read_run
from tests.report.browser import address, chromium, complaints, drawn, opened
from tests.report.choices import choose, hash_of, path_names, path_shown

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium: .ci/run installs it")


def shown(driver: Chrome) -> tuple[str, str, str]:
    """What the fields say: search, category, category beside."""
    search, category, beside = (
        str(driver.find_element(By.ID, name).get_property("value")) for name in ("search", "category", "beside")
    )
    return search, category, beside


def test_a_reload_keeps_what_was_chosen(driver: Chrome, finished: Path) -> None:
    paths = read_run(finished).category_paths("random")
    assert paths is not None
    with opened(driver, finished / "report.html"):
        choose(driver, search="random", category=3, beside=5)
        assert hash_of(driver) == "#c=3&d=5&m=random"
        driver.refresh()
        drawn(driver)
        assert shown(driver) == ("random", "3", "5")
        assert path_shown(driver) == path_names(paths.neurons[3])
        assert path_shown(driver, "#strip-beside") == path_names(paths.neurons[5])


def test_back_and_forward_go_through_the_choices(driver: Chrome, finished: Path) -> None:
    with opened(driver, finished / "report.html"):
        choose(driver, category=3)
        choose(driver, category=8, beside=1)
        driver.back()
        assert shown(driver) == ("jas", "8", "")
        driver.back()
        assert shown(driver)[1] == "3"
        driver.forward()
        driver.forward()
        assert shown(driver) == ("jas", "8", "1")
        assert driver.find_element(By.CSS_SELECTOR, "#strip h3").text == "Path of category 8, search jas"


@pytest.mark.parametrize("state", ["#c=99&m=none&n=L99N1&i=-1", "#c=<b>&d=1e3", "#effect", "#L0N999999"])
def test_an_address_that_says_what_is_not_there_is_ignored(driver: Chrome, finished: Path, state: str) -> None:
    with opened(driver, finished / "report.html", state=state):
        assert shown(driver) == ("jas", "0", "")
        assert not driver.find_element(By.ID, "neuron").is_displayed()
        assert complaints(driver) == []


def test_keys_go_to_the_previous_and_the_next_category(driver: Chrome, finished: Path) -> None:
    with opened(driver, finished / "report.html"):
        body = driver.find_element(By.TAG_NAME, "body")
        body.send_keys(Keys.ARROW_RIGHT)
        body.send_keys(Keys.ARROW_RIGHT)
        assert shown(driver)[1] == "2"
        body.send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
        assert shown(driver)[1] == "9"
        driver.find_element(By.ID, "next").click()
        assert shown(driver)[1] == "0"
        field = driver.find_element(By.ID, "category")
        field.send_keys(Keys.ARROW_LEFT)
        assert shown(driver)[1] == "0"


def test_a_section_is_reached_without_losing_the_choice(driver: Chrome, finished: Path) -> None:
    with opened(driver, finished / "report.html", state="#c=4&m=jas"):
        driver.find_element(By.CSS_SELECTOR, "nav a[href='#caveats']").click()
        assert hash_of(driver) == "#c=4&m=jas"
        assert driver.execute_script("return scrollY") > 1000


def test_a_name_is_completed_and_a_wrong_one_refused(driver: Chrome, finished: Path) -> None:
    with opened(driver, finished / "report.html"):
        choose(driver, category="nothing")
        assert driver.find_element(By.ID, "category").get_attribute("aria-invalid") == "true"
        assert driver.find_element(By.ID, "said").text == "There is no category nothing."
        assert path_shown(driver)
        choose(driver, category="6")
        assert driver.find_element(By.ID, "category").get_attribute("aria-invalid") is None
        assert driver.find_element(By.CSS_SELECTOR, "#strip h3").text == "Path of category 6, search jas"


def test_a_neuron_has_a_card_that_can_be_linked(driver: Chrome, finished: Path) -> None:
    run = read_run(finished)
    paths = run.category_paths("jas")
    assert paths is not None
    neuron = int(paths.neurons[2, 1, 0])
    with opened(driver, finished / "report.html", state="#c=2"):
        link = driver.find_element(By.CSS_SELECTOR, f"#strip .box.path a[href='#L1N{neuron}']")
        ActionChains(driver).move_to_element(link).click().perform()
        assert hash_of(driver) == f"#c=2&m=jas&n=L1N{neuron}"
        card = driver.find_element(By.ID, "card")
        assert card.find_element(By.TAG_NAME, "h3").text == f"Neuron L1·{neuron}: layer 1, number {neuron}"
        table = card.find_element(By.CSS_SELECTOR, ".pair .table tbody")
        used = {row.text.split()[0]: row.text.split()[1] for row in table.find_elements(By.TAG_NAME, "tr")}
        neurons, labels = run.image_paths("jas")["neurons"], run.image_paths("jas")["label"]
        for category in range(10):
            share = (neurons[labels == category][:, 1] == neuron).any(1).double().mean().item()  # type: ignore[index, union-attr]
            assert (str(category) in used) == (share > 0)
            assert used.get(str(category), "0.0%") == f"{100 * share:.1f}%"
        places = [(entry["layer"], entry["neuron"]) for entry in run.pictures["drivers"]]
        images = run.pictures["drivers"][places.index((1, neuron))]["images"]
        shown_images = card.find_elements(By.CSS_SELECTOR, ".gallery .image")
        assert len(shown_images) == len(images) > 0
        assert len(card.find_elements(By.CSS_SELECTOR, ".gallery canvas")) == len(shown_images)
        assert card.find_element(By.CLASS_NAME, "legend").is_displayed()
        values = run.pictures["drivers"][places.index((1, neuron))]["values"]
        key = card.find_element(By.CSS_SELECTOR, ".histogram .key").text
        assert key.split("\n") == [
            f"its categories, {sum(values['own'])} images",
            f"the rest, {sum(values['rest'])} images",
        ]
        assert len(card.find_elements(By.CSS_SELECTOR, ".histogram rect")) == 2 * len(values["own"])
        driver.get("about:blank")
        driver.get(address(finished / "report.html", f"#L1N{neuron}"))
        drawn(driver)
        assert driver.find_element(By.ID, "card").is_displayed()
        driver.find_element(By.ID, "close").click()
        assert not driver.find_element(By.ID, "card").is_displayed()
        assert complaints(driver) == []


def test_the_link_is_copied(driver: Chrome, finished: Path) -> None:
    page = finished / "report.html"
    with opened(driver, page):
        origin = {"origin": "file://", "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
        driver.execute_cdp_cmd("Browser.grantPermissions", origin)
        choose(driver, category=7)
        driver.find_element(By.ID, "copy").click()
        WebDriverWait(driver, 5).until(lambda _: driver.find_element(By.ID, "said").text)
        assert driver.current_url == address(page, "#c=7&m=jas")
        assert "link" in driver.find_element(By.ID, "said").text
