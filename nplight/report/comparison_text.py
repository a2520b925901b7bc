"""The comparison as text that can be pasted: Markdown with intervals, LaTeX for a paper."""

from __future__ import annotations

from collections.abc import Sequence

from nplight.metrics import Estimate, Measure, estimate
from nplight.results.claims import Claim
from nplight.results.comparison import Comparison
from nplight.results.findings import Findings


def to_markdown(comparison: Comparison) -> str:
    """A Markdown table: measures down, methods across, 95% intervals in brackets, the best in bold."""
    rows = [["", *(f"`{method}`" for method in comparison.methods)], ["---", *["---:"] * len(comparison.methods)]]
    for row in comparison.rows:
        cells = [f"**{text}**" if best else text for text, best in zip(row.texts, row.best)]
        intervals = [_brackets(estimate, row.compared.measure) for estimate in row.estimates]
        rows.append([row.compared.label, *map(str.__add__, cells, intervals)])
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def to_latex(comparison: Comparison) -> str:
    r"""A LaTeX `tabular` with booktabs' rules: measures down, methods across, the best in bold."""
    columns = "l" + "r" * len(comparison.methods)
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", _latex_row(["", *map(_escaped, comparison.methods)])]
    lines.append(r"\midrule")
    for row in comparison.rows:
        cells = [rf"\textbf{{{text}}}" if best else text for text, best in zip(row.texts, row.best)]
        lines.append(_latex_row([_escaped(row.compared.label), *cells]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def findings_to_markdown(found: Findings) -> str:
    """The comparison, the methods' paths and the claims, as Markdown tables."""
    parts = [to_markdown(found.comparison), paths_to_markdown(found)]
    return "\n".join([*parts, claims_to_markdown(found.claims)] if found.claims else parts)


def paths_to_markdown(found: Findings) -> str:
    """What the paths themselves are like, one line a method, with 95% intervals."""
    heads = ["", "area under pruning", "over random", "neurons as the first", "distance within", "distance between"]
    rows = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    for method in found.comparison.methods:
        curve, agreement = found.curves.get(method), found.agreements.get(method)
        statistics = found.statistics.get(method)
        estimates = [
            curve.area if curve else None,
            found.leads.get(method),
            estimate(agreement.neurons) if agreement else None,
            statistics.distance.within if statistics else None,
            statistics.distance.between if statistics else None,
        ]
        rows.append([f"`{method}`", *map(_interval, estimates)])
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def claims_to_markdown(claims: Sequence[Claim]) -> str:
    """A Markdown table of claims."""
    rows = ["| claim | verdict | why |", "| --- | --- | --- |"]
    return "".join(
        f"{row}\n" for row in [*rows, *(f"| {one.text} | **{one.verdict}** | {one.reason} |" for one in claims)]
    )


def _brackets(estimate: Estimate, measure: Measure) -> str:
    return "" if estimate.low != estimate.low else f" [{measure.text(estimate.low)}, {measure.text(estimate.high)}]"


def _interval(found: Estimate | None) -> str:
    if found is None or found.value != found.value:
        return "–"
    return f"{found.value:.3f}" + ("" if found.low != found.low else f" [{found.low:.3f}, {found.high:.3f}]")


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _escaped(text: str) -> str:
    return "".join(rf"\{sign}" if sign in "_%&#" else sign for sign in text).replace("Δ", r"$\Delta$")
