"""The page docs/pruning.md and its figure, from the results of `benchmarks.pruning_study`."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from scipy import stats

from nplight.report.theme import line_style, template
from nplight.shrinking.measurements import Accuracy

Results = Sequence[Mapping[str, Any]]
_DOCS = Path(__file__).parent.parent / "docs"
_TEMPLATE = Path(__file__).parent / "pruning_page.md"
_COLUMNS = 6
_RESAMPLES = 499


@dataclass(frozen=True)
class Mean:
    """A mean over trainings with its 95% interval by Student's t.

    Attributes:
        value: the mean.
        low: of the interval; NaN for a single training.
        high: likewise.
        count: how many.
    """

    value: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Mean:
        """From values, at least one."""
        mean = statistics.fmean(values)
        if len(values) < 2:
            return cls(mean, math.nan, math.nan, len(values))
        half = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
        return cls(mean, mean - half, mean + half, len(values))

    def text(self, factor: float = 1, sign: str = "+") -> str:
        """For a table: the mean and its interval."""
        shown = f"{factor * self.value:{sign}.1f}"
        if math.isnan(self.low):
            return shown
        return f"{shown} ({factor * self.low:{sign}.1f} … {factor * self.high:{sign}.1f})"


def write_page(results: Results, planned: int, docs: Path = _DOCS) -> None:
    """Write the page and its figure; needs Chrome or Chromium.

    Args:
        results: of the trainings that there are.
        planned: how many there would be.
        docs: the folder.
    """
    figure = draw(results)
    (docs / "figures").mkdir(parents=True, exist_ok=True)
    figure.write_image(docs / "figures" / "pruning_study.svg")
    (docs / "pruning.md").write_text(page(results, planned), encoding="utf-8")


def page(results: Results, planned: int) -> str:
    """The text of the page; arguments as `write_page`."""
    values = {
        "seeds": str(len({result["seed"] for result in results})),
        "trainings": str(len(results)) if len(results) == planned else f"{len(results)} of {planned} planned",
        "images": str(results[0]["images"]),
        "seconds": f"{sum(result['seconds'] for result in results) / 60:.0f}",
        "dense": _dense_text(results),
        "table": table(results),
        "rise": f"{rise(results).text(100)} points",
        "loss": correlation_text(results),
        "reactivated": changes_table(results, "reactivate"),
        "merged": changes_table(results, "merged"),
    }
    text = _TEMPLATE.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text


def variant(result: Mapping[str, Any]) -> str:
    """The name of a variant, for people."""
    back = {False: "", True: ", re-activated", "rigl": ", re-activated on RigL's schedule"}[result["reactivate"]]
    merged = f", {result['merged']} tokens merged" if result["merged"] else ""
    return f"{result['criterion'].replace('_', ' ')}{back}{merged}"


def pruned(results: Results) -> Results:
    """Without the dense trainings."""
    return [result for result in results if result["criterion"] != "none"]


def loss(results: Results, result: Mapping[str, Any]) -> float:
    """Accuracy of the dense training of the same seed and merging, less that of a training."""
    (dense,) = [
        other
        for other in results
        if other["criterion"] == "none" and all(other[name] == result[name] for name in ("seed", "merged"))
    ]
    return float(dense["correct"] - result["correct"]) / float(result["images"])


def table(results: Results) -> str:
    """Every variant and share: accuracy, loss, burden and the share of returned neurons, over seeds."""
    lines = [
        "| kept by | pruned % | top-1 % | loss, points | burden % | returned % |",
        "|" + "---|" * _COLUMNS,
    ]
    for name, share in dict.fromkeys((variant(result), result["share"]) for result in pruned(results)):
        rows = [result for result in pruned(results) if (variant(result), result["share"]) == (name, share)]
        accuracy = Accuracy.over_draws([Accuracy.of(result["correct"], result["images"]) for result in rows])
        losses = Mean.of([loss(results, result) for result in rows])
        burden = Mean.of([result["burden"] for result in rows])
        back = statistics.fmean(result["returned"] for result in rows)
        lines.append(
            f"| {name} | {share:.0%} | {100 * accuracy.value:.1f} "
            f"({100 * accuracy.low:.1f} … {100 * accuracy.high:.1f}) | {losses.text(100)} | {burden.text(100)} "
            f"| {100 * back:.0f} |"
        )
    return "\n".join(lines)


def rise(results: Results) -> Mean:
    """Burden at the largest share less that at the smallest, over variants and seeds."""
    shares = sorted({result["share"] for result in pruned(results)})
    pairs = _paired(pruned(results), "share", shares[0], shares[-1])
    return Mean.of([high["burden"] - low["burden"] for low, high in pairs])


def changes_table(results: Results, setting: str) -> str:
    """What a setting changes, paired by everything else: burden and accuracy, by criterion and in all."""
    base = False if setting == "reactivate" else 0
    others = [value for value in dict.fromkeys(result[setting] for result in pruned(results)) if value != base]
    lines = ["| change | pairs | burden, points | top-1, points |", "|---|---|---|---|"]
    for value in others:
        pairs = _paired(pruned(results), setting, base, value)
        for criterion in dict.fromkeys(before["criterion"] for before, _ in pairs):
            own = [pair for pair in pairs if pair[0]["criterion"] == criterion]
            changed = {
                name: Mean.of([measure(after) - measure(before) for before, after in own])
                for name, measure in _MEASURES
            }
            label = _CHANGES.get(value, f"{value} tokens merged")
            lines.append(
                f"| {criterion.replace('_', ' ')}: {label} | {len(own)} | {changed['burden'].text(100)} "
                f"| {changed['accuracy'].text(100)} |"
            )
    return "\n".join(lines) if len(lines) > _HEADER else "No such pair was trained."


_HEADER = 2
_CHANGES: Mapping[Any, str] = {True: "re-activated", "rigl": "re-activated on RigL's schedule"}
_MEASURES: Sequence[tuple[str, Callable[[Mapping[str, Any]], float]]] = (
    ("burden", lambda result: float(result["burden"])),
    ("accuracy", lambda result: float(result["correct"]) / float(result["images"])),
)


def correlation(results: Results) -> tuple[float, float, float]:
    """Spearman's correlation of burden and loss over all pruned trainings, with a bootstrap interval over them."""
    burdens = np.array([result["burden"] for result in pruned(results)])
    losses = np.array([loss(results, result) for result in pruned(results)])

    generator = np.random.default_rng(0)
    draws = (generator.integers(len(losses), size=len(losses)) for _ in range(_RESAMPLES))
    drawn = [_spearman(burdens[chosen], losses[chosen]) for chosen in draws]
    low, high = np.nanquantile(drawn, (0.025, 0.975)) if np.isfinite(drawn).any() else (math.nan, math.nan)
    return _spearman(burdens, losses), float(low), float(high)


def _spearman(one: Any, other: Any) -> float:
    """NaN where all values of one are equal."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return math.nan
    return float(stats.spearmanr(one, other).statistic)


def correlation_text(results: Results) -> str:
    """All trainings, and those of one share."""
    lines = ["| trainings | Spearman's correlation of burden and loss |", "|---|---|"]
    shares = sorted({result["share"] for result in pruned(results)})
    parts = [("all", results)]
    parts += [
        (f"{share:.0%} pruned", [result for result in results if result["share"] in (0, share)]) for share in shares
    ]
    for name, part in parts:
        value, low, high = correlation(part)
        lines.append(f"| {name} | {value:+.2f} ({low:+.2f} … {high:+.2f}) |")
    return "\n".join(lines)


def draw(results: Results) -> go.Figure:
    """Accuracy and burden against the pruned share, one line per variant, means over seeds."""
    names = list(dict.fromkeys(map(variant, pruned(results))))
    figure = make_subplots(rows=1, cols=2, subplot_titles=["top-1 %", "burden %"])
    for place, name in enumerate(names):
        rows = [result for result in pruned(results) if variant(result) == name]
        shares = sorted({result["share"] for result in rows})
        for column, (_, measure) in enumerate(reversed(_MEASURES), start=1):
            means = [
                100 * statistics.fmean(measure(result) for result in rows if result["share"] == share)
                for share in shares
            ]
            figure.add_scatter(
                x=[100 * share for share in shares], y=means, name=name, row=1, col=column,
                legendgroup=name, showlegend=column == 1, mode="lines+markers", line=line_style(place),
            )  # fmt: skip
    figure.update_xaxes(title="pruned neurons %")
    figure.update_layout(template=template(), paper_bgcolor="white", width=1000, height=460)
    figure.update_layout(legend={"orientation": "h", "y": -0.25})
    return figure


def _paired(results: Results, setting: str, one: Any, other: Any) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """The trainings that differ in a setting alone."""
    names = [name for name in ("criterion", "share", "reactivate", "merged", "seed") if name != setting]
    second = {tuple(result[name] for name in names): result for result in results if result[setting] == other}
    first = [result for result in results if result[setting] is one or result[setting] == one]
    first = [result for result in first if isinstance(result[setting], bool) == isinstance(one, bool)]
    pairs = [(result, second.get(tuple(result[name] for name in names))) for result in first]
    return [(result, match) for result, match in pairs if match is not None]


def _dense_text(results: Results) -> str:
    texts = []
    for merged in sorted({result["merged"] for result in results}):
        rows = [result for result in results if (result["criterion"], result["merged"]) == ("none", merged)]
        accuracy = Accuracy.over_draws([Accuracy.of(result["correct"], result["images"]) for result in rows])
        texts.append(
            f"{100 * accuracy.value:.1f}% ({100 * accuracy.low:.1f} … {100 * accuracy.high:.1f})"
            + (f" with {merged} tokens merged" if merged else "")
        )
    return ", ".join(texts)
