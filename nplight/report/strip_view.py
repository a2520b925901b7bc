"""A strip as the template writes it, for a page without JavaScript: the layout of the page's script."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nplight.report.path_strips import Strips
from nplight.report.strip_layout import LAYOUT


@dataclass(frozen=True, slots=True)
class BoxView:
    """A box of a column.

    Attributes:
        name: of the neuron, such as `L2·217`; empty for an empty box.
        key: of its card, such as `L2N217`.
        on_path: whether it is on the category's path.
        top: in pixels.
        height: in pixels.
        support: share of the images, in percent; `None` if unknown.
        text: beneath the bar, its support.
        score: its share of the score, as text; empty if it is not known or not shown.
        picture: the image of largest value, a data URI; empty without one.
    """

    name: str
    key: str
    on_path: bool
    top: int
    height: int
    support: float | None
    text: str
    score: str
    picture: str


@dataclass(frozen=True, slots=True)
class LinkView:
    """A link between two columns.

    Attributes:
        path: the curve, as SVG writes it.
        width: in pixels.
        text: shown on hover: the two neurons and how many images have both.
        rest: whether it is the sum of all links that are not drawn one by one.
    """

    path: str
    width: float
    text: str
    rest: bool


@dataclass(frozen=True, slots=True)
class StripView:
    """A strip.

    Attributes:
        title: of the strip.
        height: in pixels.
        columns: boxes per layer.
        others: per layer what the other neurons have, as text.
        other_top: of the line of the others, in pixels.
        links: between the columns.
    """

    title: str
    height: int
    columns: list[list[BoxView]]
    others: list[str]
    other_top: int
    links: list[LinkView]


def strip_view(
    strips: Strips, category: int, *, search: str, names: list[str], pictures: Mapping[str, Any]
) -> StripView:
    """The strip of a category.

    Args:
        strips: of a search.
        category: by number.
        search: its name, for the title.
        names: of the categories.
        pictures: those of the page; empty without any.
    """
    best = _best_pictures(pictures)
    boxes = strips.neurons.shape[2]
    tall = max(strips.path, 1)
    first = strips.neurons[category, :, : min(strips.path, LAYOUT["mostPictured"])].tolist()
    pictured = any((layer, neuron) in best for layer, neurons in enumerate(first) for neuron in neurons)
    tops, heights, top = [], [], LAYOUT["head"]
    for box in range(boxes):
        tops.append(top)
        heights.append(_height(box, tall, pictured))
        top += heights[-1] + LAYOUT["gap"]
    images = int(strips.images[category])
    columns, others = [], []
    for layer, (neurons, counts, shares) in enumerate(
        zip(*(values[category].tolist() for values in (strips.neurons, strips.count, strips.share)))
    ):
        column = []
        for box, (neuron, count, share) in enumerate(zip(neurons, counts, shares)):
            support = 100 * (count / images) if images and count >= 0 else None
            picture = best.get((layer, neuron), "") if heights[box] == LAYOUT["pictured"] else ""
            text = "–" if support is None else _percent(support)
            score = f"score {_percent(100 * (round(1000 * share) / 1000))}" if box < tall and share == share else ""
            name, key = ("", "") if neuron < 0 else (neuron_name(layer, neuron), neuron_key(layer, neuron))
            column.append(BoxView(name, key, box < strips.path, tops[box], heights[box], support, text, score, picture))
        columns.append(column)
        others.append(_others(counts, images, strips.top_k))
    kind = "Path" if strips.path else "Most used neurons"
    return StripView(
        title=f"{kind} of category {names[category]}, search {search}",
        height=top + LAYOUT["other"],
        columns=columns,
        others=others,
        other_top=top,
        links=_links(strips, category, columns, top + LAYOUT["other"] / 2),
    )


def neuron_name(layer: int, neuron: int) -> str:
    """The name of a neuron on the page, such as `L2·217`."""
    return f"L{layer}·{neuron}"


def neuron_key(layer: int, neuron: int) -> str:
    """The name of a neuron in addresses, files and the page's data, such as `L2N217`."""
    return f"L{layer}N{neuron}"


def _height(box: int, tall: int, pictured: bool) -> int:
    if pictured and box < min(tall, LAYOUT["mostPictured"]):
        return LAYOUT["pictured"]
    return LAYOUT["path"] if box < tall else LAYOUT["runner"]


def _best_pictures(pictures: Mapping[str, Any]) -> dict[tuple[int, int], str]:
    """Neuron -> the image with its largest value."""
    return {
        (driver["layer"], driver["neuron"]): pictures["pictures"][driver["images"][0][0]]["source"]
        for driver in pictures.get("drivers", ())
        if driver["images"]
    }


def _others(counts: list[int], images: int, top_k: int) -> str:
    if not images or not top_k:
        return ""
    return f"other {_percent(100 * max(0.0, 1 - sum(count / images for count in counts) / top_k))}"


def _percent(value: float) -> str:
    """A percentage without decimals, a half rounded up as by JavaScript."""
    return f"{math.floor(value + 0.5)}%".replace("-", "−")


def _links(strips: Strips, category: int, columns: list[list[BoxView]], other: float) -> list[LinkView]:
    images = int(strips.images[category])
    pairs = images * strips.top_k**2
    if strips.links is None or not images:
        return []
    links = []
    for layer in range(len(columns) - 1):
        widest = strips.widest(category, layer)
        for first, second, count in widest:
            start, end = columns[layer][first], columns[layer + 1][second]
            path = _curve(layer, start.top + LAYOUT["centre"], end.top + LAYOUT["centre"])
            links.append(
                LinkView(
                    path, _width(count / images), f"{start.name} and {end.name}: {count} of {images} images", False
                )
            )
        rest = pairs - sum(count for *_, count in widest)
        if rest > 0:
            text = f"other pairs of neurons: {_percent(100 * (rest / pairs))}"
            links.append(LinkView(_curve(layer, other, other), _width(rest / pairs), text, True))
    return links


def _curve(layer: int, start: float, end: float) -> str:
    return f"M{layer + 0.88:g} {start:g}C{layer + 1} {start:g} {layer + 1} {end:g} {layer + 1.12:g} {end:g}"


def _width(share: float) -> float:
    return round(max(1.0, LAYOUT["widest"] * share), 1)
