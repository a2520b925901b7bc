"""The shapes that the JSON files of a run folder must have for the report; further entries are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, InstanceOf, Strict, TypeAdapter
from typing_extensions import Required, TypedDict

from nplight.metrics import MEASURES

# Any Python string, including one from a file name that is not valid in any encoding.
Text = InstanceOf[str]
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e15, le=1e15)]
Count = Annotated[int, Field(ge=0, le=2**31)]
# Bounds far above any model or data set: tables of this size are allocated.
Width = Annotated[int, Field(ge=1, le=2**22)]
Listed = Strict(False)  # JSON has lists instead of tuples
Categories = Annotated[int, Field(ge=0, le=10**6)]


class _Open(TypedDict, total=False):
    # Types as in JSON, without conversion.
    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]


class Section(_Open, total=False):
    """A section of `settings.json`."""

    categories: Categories
    command: Text
    data: Text
    method: Text
    model: Text
    patch_stream: Text
    rule: Text
    steps: Count


class Estimate(_Open, total=False):
    """A measure with its interval."""

    value: Required[Number | None]
    low: Required[Number | None]
    high: Required[Number | None]


class _Condition(_Open, total=False):
    condition: Required[Text]
    method: Required[Text]
    kept: Required[Annotated[int, Field(ge=1, le=2**22)] | None]
    pruned: Required[Number | None]
    tokens: Text | None
    layers: Annotated[int, Field(ge=1, le=2**22)] | None
    scale: Number | None


_MEASURED = TypeAdapter(Number | None)


def _whole_condition(row: _Condition) -> _Condition:
    missing = {"accuracy", "accuracy_deviation", "probability_deviation"} - set(row)
    if missing:
        raise ValueError(f"a condition must have the measures {', '.join(sorted(missing))}")
    for name in (measure + end for measure in MEASURES for end in ("", "_low", "_high")):
        _MEASURED.validate_python(row.get(name), strict=True)
    if row["condition"] == "kept" and (row["kept"] is None or row["pruned"] is None):
        raise ValueError("a condition that keeps a path must say how much it keeps and prunes")
    return row


class Claim(_Open, total=False):
    """A claim and its verdict."""

    text: Required[Text]
    verdict: Required[Text]
    reason: Required[Text]


class Curve(_Open, total=False):
    """A faithfulness curve."""

    sizes: Required[Annotated[list[Width], Field(min_length=1)]]
    accuracy: Required[list[Estimate]]


class Pair(Estimate, total=False):
    """Two categories and their similarity."""

    categories: Required[Annotated[list[Count], Field(min_length=2, max_length=2)]]


class Statistics(_Open, total=False):
    """Statistics of the image paths of a search."""

    joint_score: Estimate
    most_similar: list[Pair]
    least_similar: list[Pair]


class Metrics(_Open, total=False):
    """`metrics.json`."""

    conditions: Required[list[Annotated[_Condition, AfterValidator(_whole_condition)]]]
    claims: list[Claim]
    controls: list[Text]
    faithfulness: dict[Text, Curve]
    images: Count
    methods: list[Text]
    notes: list[Text]
    paths: dict[Text, Statistics]


def _square(rows: list[Any]) -> list[Any]:
    if any(len(row) != len(rows) for row in rows):
        raise ValueError("every row must have an entry for each category")
    return rows


class SelectivityFile(_Open, total=False):
    """`selectivity.json`."""

    accuracy: Required[Annotated[list[list[Number | None]], Field(min_length=1), AfterValidator(_square)]]


class About(_Open, total=False):
    """`run.json`."""

    command: Text | None
    device: Text
    model: Text
    names: Required[list[Text]]
    path_tokens: Text
    processes: Count
    seconds: Annotated[Number, Field(ge=0)]
    versions: dict[Text, Text]
    widths: Required[Annotated[list[Width], Field(min_length=1)]]


class Picture(_Open, total=False):
    """A thumbnail."""

    file: Required[Text]
    label: Required[Count]
    source: Required[Text]


class Driver(_Open, total=False):
    """The pictures that drive a neuron: per picture its number, the neuron's value, and its value at each patch."""

    layer: Required[Count]
    neuron: Required[Count]
    images: Required[list[Annotated[tuple[Count, Number, list[Number]], Listed]]]


def _known_pictures(content: Any) -> Any:
    lists = [*content["samples"].values(), *(driver["images"] for driver in content["drivers"])]
    if any(not 0 <= entry[0] < len(content["pictures"]) for entries in lists for entry in entries):
        raise ValueError("it names pictures that it does not hold")
    return content


class _Pictures(_Open, total=False):
    grid: Required[Annotated[list[Count], Field(min_length=2, max_length=2)] | None]
    pictures: Required[list[Picture]]
    samples: Required[dict[Text, list[Annotated[tuple[Count, Number, Number, Number], Listed]]]]
    drivers: Required[list[Driver]]


SHAPES: Mapping[str, TypeAdapter[Any]] = MappingProxyType(
    {
        "settings": TypeAdapter(dict[Text, Section]),
        "metrics": TypeAdapter(Metrics),
        "selectivity": TypeAdapter(SelectivityFile),
        "about": TypeAdapter(About),
        "pictures": TypeAdapter(Annotated[_Pictures, AfterValidator(_known_pictures)]),
    }
)
"""Field of a `Run` -> shape of its file."""
