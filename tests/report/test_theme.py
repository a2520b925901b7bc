from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest

from nplight.report.theme import COLOURS, CONTROL, NEUTRAL, distinct_names, line_style, marker_style, plain_text
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


# Machado, Oliveira and Fernandes (2009): what readers without one kind of cones see, in linear RGB.
SEEN = {
    "all": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour: str) -> npt.NDArray[np.float64]:
    values = np.array([int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(colour: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    relative = TO_XYZ @ np.clip(colour, 0, 1) / np.array([0.9505, 1, 1.089])
    x, y, z = np.where(relative > 0.008856, np.cbrt(relative), 7.787 * relative + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("cones", SEEN)
def test_colours_differ_for_colour_blind_readers(cones: str) -> None:
    """Distances in CIELAB; about 2 is just seen."""
    seen = [lab(np.array(SEEN[cones]) @ linear(colour)) for colour in (*COLOURS, CONTROL)]
    assert min(float(np.linalg.norm(one - other)) for one, other in combinations(seen, 2)) > 15


@pytest.mark.parametrize("ground", ["#ffffff", "#14171a"])
def test_every_colour_is_seen_on_light_and_dark_ground(ground: str) -> None:
    below = float(TO_XYZ[1] @ linear(ground))
    for colour in (*COLOURS, CONTROL):
        light, dark = sorted((below, float(TO_XYZ[1] @ linear(colour))), reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 2
