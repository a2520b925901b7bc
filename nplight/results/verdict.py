"""What a run shows of its paths, in sentences made from intervals."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nplight.errors import ArgumentError, check_choice
from nplight.metrics import Condition, Estimate, Measure
from nplight.results.findings import Findings

Standing = Literal["ahead", "undecided", "behind", "without an interval"]

_EDITS = {"removed": "Removing the path", "enhanced": "Enhancing the path", "kept": "Keeping the path alone"}
_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlledTest:
    """A change under one edit of a search's paths, beside the change under the same edit of the control's neurons.

    Attributes:
        search: the name of the search.
        control: the name of the control, such as `random`.
        condition: the edit: `removed`, `enhanced` or `kept`.
        measure: the measure, a change relative to the unedited model.
        path: its value for the search's paths.
        floor: its value for the control's neurons, as many per layer.
        difference: `path` minus `floor`, paired by image.

    Raises:
        ArgumentError: `condition` is not an edit.

    Examples:
        >>> from nplight.metrics import MEASURES, Estimate
        >>> from nplight.results import ControlledTest
        >>> path, floor = Estimate(-0.03, -0.05, -0.02, 100), Estimate(-0.001, -0.004, 0.002, 100)
        >>> lead = Estimate(-0.029, -0.048, -0.017, 100)  # paired by image
        >>> names = {"search": "jas", "control": "random", "condition": "removed"}
        >>> measure = MEASURES["probability_deviation"]
        >>> ControlledTest(**names, measure=measure, path=path, floor=floor, difference=lead).standing
        'ahead'
    """

    search: str
    control: str
    condition: str
    measure: Measure
    path: Estimate
    floor: Estimate
    difference: Estimate

    def __post_init__(self) -> None:
        check_choice("condition", self.condition, _EDITS)

    @property
    def standing(self) -> Standing:
        """The path against the control, by the interval of the difference: `undecided` if it holds 0.

        Ahead is a path whose removal lowers the measure by more, or whose enhancement or keeping leaves more of it.
        """
        sign = _better(self)
        low, high = sorted((sign * self.difference.low, sign * self.difference.high))
        if low != low or high != high:
            return "without an interval"
        return "ahead" if low > 0 else "behind" if high < 0 else "undecided"


def controlled_tests(
    findings: Findings, measure: Measure, *, control: str = "random"
) -> dict[Condition, list[ControlledTest]]:
    """The tests of a run: condition -> one test per search, both in the order of the run.

    Conditions are those that remove, enhance, or keep alone the path of an image's category in all layers.

    Args:
        findings: of the run.
        measure: one of the run's (`Findings.measures`).
        control: one of `CONTROLS`; without it in the run there are no tests.

    Raises:
        ArgumentError: the run has no such measure.

    Examples:
        >>> import tempfile
        >>> import nplight
        >>> from nplight.data import ImageBatch
        >>> from nplight.metrics import MEASURES
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.results import controlled_tests
        >>> from nplight.runs import EvaluationRun, EvaluationSettings, SearchRun, SearchSettings
        >>> from nplight.store import RunFolder
        >>> planted, folder = build_planted(PLANTED["chain"]), RunFolder(tempfile.mkdtemp())
        >>> vit, batch = nplight.open_vit(planted.model), ImageBatch(planted.images, planted.labels)
        >>> with SearchRun(vit, folder, SearchSettings.of(["jas"], kept=(1,))) as search:
        ...     search.update(batch)
        ...     paths = search.conclude()
        ...
        >>> settings = EvaluationSettings(fractions=(1.0,), tokens="path", replicates=100, draws=4)
        >>> with EvaluationRun(vit, folder, search, settings) as evaluation:
        ...     evaluation.update(batch)
        ...     tests = controlled_tests(evaluation.conclude(), MEASURES["probability_deviation"])
        ...
        >>> [(condition.name, test.standing) for condition, (test,) in tests.items()]
        [('removed', 'ahead'), ('enhanced', 'ahead'), ('kept', 'ahead')]
    """
    check_choice("measure", measure.name, findings.measures)
    values = {(result.method, result.key): result.values[measure.name] for result in findings.results}
    tests: dict[Condition, list[ControlledTest]] = {}
    for one in findings.differences:
        condition = one.condition
        if one.control == control and condition.main and condition.name in _EDITS:
            name = control if (control, condition) in values else f"{control} of {one.method}"
            test = ControlledTest(
                search=one.method,
                control=control,
                condition=condition.name,
                measure=measure,
                path=values[one.method, condition],
                floor=values[name, condition],
                difference=one.values[measure.name],
            )
            tests.setdefault(condition, []).append(test)
    return tests


def verdict(tests: Sequence[ControlledTest], what: str = "the label's probability") -> str:
    """What an edit does to the paths, what it does to the control's neurons, and which paths are ahead of the control.

    Args:
        tests: one per search, with the same control, condition and measure, in the order of the run. The first three
            are named, and the others counted.
        what: the quantity whose change is measured.

    Raises:
        ArgumentError: no tests, or tests of several controls, conditions or measures.

    Examples:
        >>> from nplight.metrics import MEASURES, Estimate
        >>> from nplight.results import ControlledTest, verdict
        >>> path, floor = Estimate(-0.03, -0.05, -0.02, 100), Estimate(-0.001, -0.004, 0.002, 100)
        >>> lead = Estimate(-0.029, -0.048, -0.017, 100)  # paired by image
        >>> names = {"search": "jas", "control": "random", "condition": "removed"}
        >>> measure = MEASURES["probability_deviation"]
        >>> test = ControlledTest(**names, measure=measure, path=path, floor=floor, difference=lead)
        >>> for sentence in verdict([test]).replace(";", ".").split(". "):
        ...     print(sentence)
        ...
        Removing the path lowers the label's probability by 3.00% [2.00, 5.00] (jas)
        as many random neurons by 0.10% [-0.20, 0.40]
        Ahead of random: jas by 2.90% [1.70, 4.80].
    """
    kinds = {(test.control, test.condition, test.measure.name) for test in tests}
    if len(kinds) != 1:
        raise ArgumentError(f"`tests` must be of one control, condition and measure, got {len(kinds)}")
    first = tests[0]
    sign = 1 if first.path.value > 0 else -1
    effects = [f"by {_size(test.path, first.measure, sign)} ({test.search})" for test in tests[:_NAMED]]
    return " ".join(
        [
            f"{_EDITS[first.condition]} {'raises' if sign > 0 else 'lowers'} {what} {_listed(effects, len(tests))}; "
            f"as many {first.control} neurons by {_size(first.floor, first.measure, sign)}.",
            *_standings(tests),
        ]
    )


def _standings(tests: Sequence[ControlledTest]) -> list[str]:
    """One sentence per standing that a search has, the standings in the order of the searches."""
    groups: dict[Standing, list[ControlledTest]] = {}
    for test in tests:
        groups.setdefault(test.standing, []).append(test)
    return [_standing(standing, group) for standing, group in groups.items()]


def _standing(standing: Standing, tests: Sequence[ControlledTest]) -> str:
    side = -1 if standing == "behind" else 1
    leads = [
        f"{test.search} by {_size(test.difference, test.measure, side * _better(test))}" for test in tests[:_NAMED]
    ]
    names, control = _listed(leads, len(tests)), tests[0].control
    return {
        "ahead": f"Ahead of {control}: {names}.",
        "undecided": f"Not shown to beat {control}, as the interval holds 0: {names}.",
        "behind": f"Behind {control}: {names}.",
        "without an interval": f"Not compared with {control}, without an interval: {names}.",
    }[standing]


def _better(test: ControlledTest) -> int:
    """The sign of a difference by which the path is ahead."""
    return test.measure.sign * (-1 if test.condition == "removed" else 1)


def _size(estimate: Estimate, measure: Measure, sign: int) -> str:
    """A change in the direction of `sign` and its interval, without plus signs."""
    low, high = sorted((sign * estimate.low, sign * estimate.high))
    turned = Estimate(sign * estimate.value, low, high, estimate.images)
    unit = "%" if measure.unit == "%" else f" {measure.unit}"
    text = f"{measure.text(turned.value)}{unit}{measure.interval_text(turned)}".replace("+", "")
    return re.sub(r"-(?=0(\.0+)?(?![.\d]))", "", text)  # no sign before a rounded 0


def _listed(texts: Sequence[str], number: int) -> str:
    """Texts joined by commas and a last `and`, with the number of those left out."""
    shown = [*texts, f"{number - len(texts)} others"] if number > len(texts) else list(texts)
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
