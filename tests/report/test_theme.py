from __future__ import annotations

from nplight.report.theme import NEUTRAL, distinct_names, line_style, marker_style, plain_text
from tests.report.samples import HOSTILE


def test_names_are_shown_letter_by_letter_and_told_apart() -> None:
    shown = distinct_names(HOSTILE)
    assert len(set(shown)) == len(HOSTILE)
    assert shown[-2:] == ["crane (8)", "crane (9)"]
    assert max(map(len, shown)) < 32
    for name in map(plain_text, HOSTILE):
        assert "<" not in name
    assert plain_text("a & <b>") == "a &amp; &lt;b&gt;"


def test_styles_differ_as_far_as_promised() -> None:
    styles = [line_style(place) for place in range(42)]
    assert len({tuple(style.values()) for style in styles}) == 42
    for start in range(36):
        nearby = styles[start : start + 6]
        assert len({style["color"] for style in nearby}) == len({style["dash"] for style in nearby}) == 6
    assert NEUTRAL not in {style["color"] for style in styles}
    assert len({tuple(marker_style(place).values()) for place in range(49)}) == 49
