"""The page by axe-core's rules: no finding that is serious or critical."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome

from tests.report.browser import LAPTOP, PHONE, chromium, opened, see_all

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium: .ci/run installs it")

RUN = """
  const done = arguments[arguments.length - 1];
  axe.run(document, {resultTypes: ["violations"]}).then(
    (found) => done(found.violations), (error) => done([{id: String(error), impact: "critical", nodes: []}]));
"""


def findings(driver: Chrome) -> list[str]:
    driver.execute_script((files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8"))
    violations: list[dict[str, Any]] = driver.execute_async_script(RUN)
    return [
        f"{found['id']} ({found['impact']}): {[node['html'][:200] for node in found['nodes'][:3]]}"
        for found in violations
        if found["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize(("size", "dark"), [(LAPTOP, False), (LAPTOP, True), (PHONE, False)])
def test_axe_finds_nothing_serious(driver: Chrome, finished: Path, size: tuple[int, int], dark: bool) -> None:
    driver.set_script_timeout(60)
    with opened(driver, finished / "report.html", size, dark=dark, state="#c=3&d=5&m=jas"):
        see_all(driver)
        driver.execute_script("document.querySelector('#strip .box.path a').click()")
        assert findings(driver) == []
