"""The shapes that the JSON files of a run folder must have for the report; further entries are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, InstanceOf, Strict, TypeAdapter
from typing_extensions import Required, TypedDict

from nplight.metrics import OBJECTIVE_MEASURES, measures_of
from nplight.report.value_histogram import EDGES

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
    for name in (measure + end for measure in measures_of(OBJECTIVE_MEASURES) for end in ("", "_low", "_high")):
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


class NormalisedCurve(_Open, total=False):
    """A curve of normalised faithfulness with its areas."""

    measure: Required[Text]
    tokens: Required[Text]
    sizes: Required[list[Count]]
    values: Required[list[Estimate]]
    cpr: Required[Estimate | None]
    cmd: Required[Estimate | None]


def _whole_curve(curve: NormalisedCurve) -> NormalisedCurve:
    if curve["values"] and len(curve["values"]) != len(curve["sizes"]):
        raise ValueError("a curve must have a value for each size")
    return curve


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
    normalised_faithfulness: dict[Text, list[Annotated[NormalisedCurve, AfterValidator(_whole_curve)]]]
    notes: list[Text]
    paths: dict[Text, Statistics]


def _square(rows: list[Any]) -> list[Any]:
    if any(len(row) != len(rows) for row in rows):
        raise ValueError("every row must have an entry for each category")
    return rows


class SelectivityFile(_Open, total=False):
    """`selectivity.json`."""

    accuracy: Required[Annotated[list[list[Number | None]], Field(min_length=1), AfterValidator(_square)]]


class SearchStability(_Open, total=False):
    """The stability of a search's paths."""

    kept: Required[dict[Text, list[Estimate]]]
    overall: Required[Estimate]
    same_category: Required[Estimate]
    other_category: Required[Estimate]
    over_same_category: Required[Estimate]


def _whole_stability(content: Any) -> Any:
    wanted = set(content["levels"])
    by_perturbation = [content["prediction_unchanged"], *(search["kept"] for search in content["searches"].values())]
    for estimates in by_perturbation:
        if set(estimates) != wanted or any(len(row) != len(content["severities"]) for row in estimates.values()):
            raise ValueError("every perturbation must have an estimate for each severity")
    return content


class StabilityFile(_Open, total=False):
    """`stability.json`."""

    images: Required[Count]
    levels: Required[dict[Text, list[Number]]]
    prediction_unchanged: Required[dict[Text, list[Estimate]]]
    random: Required[Number]
    searches: Required[dict[Text, SearchStability]]
    settings: Required[dict[Text, Any]]
    severities: Required[Annotated[list[Count], Field(min_length=1)]]


class Nearest(_Open, total=False):
    """Whose category's path is the nearest: shares of images."""

    own: Required[Estimate]
    wrong: Required[Estimate]
    others: Required[Estimate]


class SearchSanity(_Open, total=False):
    """The sanity checks of a search's paths."""

    randomised: Required[list[Estimate]]
    wrong_target: Required[Estimate]
    nearest: Required[Nearest]
    nearest_before: Required[Nearest]
    same_category: Required[Estimate]
    other_category: Required[Estimate]


class ReadOut(_Open, total=False):
    """Shares of images whose category is told from the path, by the target that was searched for."""

    label: Required[Estimate]
    prediction: Required[Estimate]


class ReadOuts(_Open, total=False):
    """The read-out of every search."""

    caveat: Required[Text]
    control: Required[ReadOut]
    searches: Required[dict[Text, ReadOut]]


def _whole_sanity(content: Any) -> Any:
    if any(len(search["randomised"]) != len(content["steps"]) for search in content["searches"].values()):
        raise ValueError("every search must have an estimate for each step of the randomisation")
    if set(content["searches"]) != set(content["read_out"]["searches"]):
        raise ValueError("every search must have a read-out")
    return content


class SanityFile(_Open, total=False):
    """`sanity.json`."""

    images: Required[Count]
    random: Required[Number]
    read_out: Required[ReadOuts]
    searches: Required[dict[Text, SearchSanity]]
    settings: Required[dict[Text, Any]]
    steps: Required[Annotated[list[Text], Field(min_length=1)]]


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


class ValueCounts(_Open, total=False):
    """A histogram of a neuron's values: counts from the bin `first` on."""

    first: Required[Count]
    own: Required[list[Count]]
    rest: Required[list[Count]]


def _whole_histogram(content: ValueCounts) -> ValueCounts:
    if len(content["own"]) != len(content["rest"]) or content["first"] + len(content["own"]) > len(EDGES) + 1:
        raise ValueError("a histogram must have two counts for each of its bins")
    return content


class Driver(_Open, total=False):
    """The pictures that drive a neuron: per picture its number, the neuron's value, and its value at each patch."""

    layer: Required[Count]
    neuron: Required[Count]
    images: Required[list[Annotated[tuple[Count, Number, list[Number]], Listed]]]
    values: Annotated[ValueCounts, AfterValidator(_whole_histogram)]


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
        "stability": TypeAdapter(Annotated[StabilityFile, AfterValidator(_whole_stability)]),
        "sanity": TypeAdapter(Annotated[SanityFile, AfterValidator(_whole_sanity)]),
        "about": TypeAdapter(About),
        "pictures": TypeAdapter(Annotated[_Pictures, AfterValidator(_known_pictures)]),
    }
)
"""Field of a `Run` -> shape of its file."""


class _Named(_Open, total=False):
    layer: Required[Count]
    neuron: Required[Count]
    name: Required[Text]
    score: Required[Number | None]
    chance: Required[Number | None]


class _Names(_Open, total=False):
    neurons: Required[list[_Named]]


NAMES_SHAPE: TypeAdapter[Any] = TypeAdapter(_Names)
"""Shape of `concept_names.json`."""


class _Alone(_Open, total=False):
    layer: Required[Count]
    neuron: Required[Count]
    category: Required[Categories]
    images: Required[Count]
    removed: Required[Estimate]
    random: Required[Estimate]
    difference: Required[Estimate]


class _AloneFile(_Open, total=False):
    neurons: Required[list[_Alone]]


ALONE_SHAPE: TypeAdapter[Any] = TypeAdapter(_AloneFile)
"""Shape of `removed_alone.json`."""
