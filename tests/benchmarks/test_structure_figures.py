"""Pictures of constructions."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from benchmarks.structure_figures import draw_structure, draw_trigger
from nplight.planted import STRUCTURES

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("structure", "edges", "lowering"),
    # Reads and writes of four layers, and what the head reads of the evidence itself.
    [("chain", 5 + 1, 0), ("parallel", 8 + 1, 0), ("conjunction", 2 + 3 * 4 + 3 * 2 + 2 + 1, 6),
     ("redundancy", 2 + 3 * 4 + 2 + 1, 0), ("backup", 8 + 2 + 1, 2), ("inhibition", 8 + 2, 4)],
)  # fmt: skip
def test_a_picture_has_the_edges_of_its_construction(structure: str, edges: int, lowering: int) -> None:
    svg = ElementTree.fromstring(draw_structure(structure))
    lines = svg.findall(f"{SVG}line")
    assert len(lines) == edges
    assert sum("stroke-dasharray" in line.attrib for line in lines) == lowering
    assert len(svg.findall(f"{SVG}circle")) == 3 + 4 * STRUCTURES[structure].smallest_top_k


def test_the_trigger_is_drawn_beside_the_digit_without_it() -> None:
    cells = ElementTree.fromstring(draw_trigger()).findall(f"{SVG}rect")
    assert len(cells) == 2 * 16 * 16
    colours = [cell.attrib["fill"] for cell in cells]
    changed = [old != new for old, new in zip(colours[:256], colours[256:])]
    assert sum(changed) == 9
