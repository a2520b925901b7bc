"""The page of methods by cases."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from nplight.metrics import Estimate
from nplight.planted import MEASURES, Judgements
from nplight.report.planted_page import planted_html

HOSTILE = "<script>alert(1)</script>"


def judgements(case: str, method: str) -> Judgements:
    return Judgements("logit", 2, {(case, method, measure): Estimate(0.5, 0.4, 0.6, 16) for measure in MEASURES})


class Tags(HTMLParser):
    """Every opened tag must be closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_has_a_heat_map_per_measure_and_the_tables() -> None:
    page = planted_html(judgements("trigger_1", "jas"))
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    assert tags.seen.count("svg") == 3
    assert tags.seen.count("rect") == 3
    assert "script" not in tags.seen
    assert "<title>jas, trigger_1: removed 0.50 (0.40 … 0.60)</title>" in page
    assert "Found, trained trigger" in page
    assert "<td>0.50 (0.40 … 0.60)</td>" in page
    assert "objective: logit" in page
    assert "2 seeds" in page


def test_names_are_escaped_and_nothing_is_loaded() -> None:
    page = planted_html(judgements(HOSTILE, "jas"))
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_a_mean_over_cases_is_in_percent() -> None:
    values = judgements("chain-loud", "jas").estimates | judgements("chain-silent", "jas").estimates
    assert "<td>50</td>" in planted_html(Judgements("probability", 1, values))
