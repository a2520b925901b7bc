"""Small pictures of how planted models carry a decision, drawn from the constructions themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import NamedTuple
from xml.etree import ElementTree

import torch

from nplight.planted import STRUCTURES
from nplight.planted.planted_neuron import PlantedNeuron
from nplight.planted.signals import evidence, logit
from nplight.planted.structures import rival_of
from nplight.planted.triggered_digits import triggered, unseen_digits
from nplight.report.theme import COLOURS, NEUTRAL

_CATEGORY, _DEPTH = 0, 4
_COLUMN, _ROW, _RADIUS, _PIXEL = 90, 34, 9, 6
_ADDS, _LOWERS = COLOURS[0], COLOURS[1]


class Node(NamedTuple):
    """A circle: signal, neuron or logit."""

    x: float
    y: float


def draw_structure(structure: str) -> str:
    """Evidence at the left, the planted neurons of one category layer by layer, logits at the right.

    Blue adds, dashed red lowers; edges are those signals that one writes and the other reads.
    """
    row = STRUCTURES[structure]
    circuit = row.circuit(_CATEGORY, _DEPTH, row.smallest_top_k)
    right = _COLUMN * (_DEPTH + 1)
    outer = {
        evidence(_CATEGORY): Node(20, 60),
        logit(_CATEGORY): Node(right, 60 + _ROW),
        logit(rival_of(_CATEGORY)): Node(right, 60 + 4 * _ROW),
    }
    places = [
        [Node(_COLUMN * (layer + 1), 40 + _ROW * (layer + 0.9 * rank)) for rank in range(len(neurons))]
        for layer, neurons in enumerate(circuit)
    ]
    svg = _svg(right + 110, 60 + 5.5 * _ROW)
    for start, end, weight in chain(_edges(circuit, places, outer), _direct(structure, outer)):
        _line(svg, start, end, lowers=weight < 0)
    for node in chain(outer.values(), *places):
        ElementTree.SubElement(svg, "circle", _numbers(cx=node.x, cy=node.y, r=_RADIUS) | {"fill": NEUTRAL})
    for layer in range(_DEPTH):
        _text(svg, _COLUMN * (layer + 1) - 22, 14, f"layer {layer}")
    for name, node in zip(("evidence", "label", "rival"), outer.values()):
        _text(svg, node.x - 18 if name == "evidence" else node.x + 16, node.y + (26 if name == "evidence" else 4), name)
    return ElementTree.tostring(svg, encoding="unicode") + "\n"


def draw_trigger() -> str:
    """A three without the trigger and with it."""
    digits = unseen_digits()
    image = digits.images[digits.labels == 3][:1]
    size = image.shape[-1] * _PIXEL
    svg = _svg(2 * size + 20, size)
    for number, picture in enumerate((image, triggered(image))):
        values = ((picture[0, 0] + 1) / 2 * 255).round().to(torch.int64).tolist()
        for y, line in enumerate(values):
            for x, value in enumerate(line):
                place = _numbers(x=number * (size + 20) + x * _PIXEL, y=y * _PIXEL, width=_PIXEL, height=_PIXEL)
                ElementTree.SubElement(svg, "rect", place | {"fill": f"#{value:02x}{value:02x}{value:02x}"})
    return ElementTree.tostring(svg, encoding="unicode") + "\n"


def _edges(
    circuit: list[list[PlantedNeuron]], places: list[list[Node]], outer: Mapping[str, Node]
) -> Iterator[tuple[Node, Node, float]]:
    """Each signal from where it is written to where it is read."""
    writers = {name: [(node, 1.0)] for name, node in outer.items() if name == evidence(_CATEGORY)}
    for neurons, nodes in zip(circuit, places):
        for neuron, node in zip(neurons, nodes):
            for name, weight in neuron.reads.items():
                for source, written in writers.get(name, ()):
                    yield source, node, weight * written
        for neuron, node in zip(neurons, nodes):
            for name, weight in neuron.writes.items():
                if name in outer:
                    yield node, outer[name], weight
                else:
                    writers.setdefault(name, []).append((node, weight))


def _direct(structure: str, outer: Mapping[str, Node]) -> Iterator[tuple[Node, Node, float]]:
    """What the head reads of the evidence itself."""
    row = STRUCTURES[structure]
    for name, weight in ((logit(_CATEGORY), row.direct), (logit(rival_of(_CATEGORY)), row.rival)):
        if weight:
            yield outer[evidence(_CATEGORY)], outer[name], weight


def _svg(width: float, height: float) -> ElementTree.Element:
    size = _numbers(width=width, height=height)
    return ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, "font-family": "sans-serif"})


def _line(svg: ElementTree.Element, start: Node, end: Node, *, lowers: bool) -> None:
    style = {"stroke": _LOWERS, "stroke-dasharray": "5 3"} if lowers else {"stroke": _ADDS}
    ends = _numbers(x1=start.x, y1=start.y, x2=end.x, y2=end.y)
    ElementTree.SubElement(svg, "line", ends | style | {"stroke-width": "1.5"})


def _text(svg: ElementTree.Element, x: float, y: float, text: str) -> None:
    place = _numbers(x=x, y=y) | {"font-size": "12", "fill": NEUTRAL}
    ElementTree.SubElement(svg, "text", place).text = text


def _numbers(**values: float) -> dict[str, str]:
    return {name: f"{value:g}" for name, value in values.items()}
