"""The comparison as text that can be pasted: Markdown with intervals, LaTeX for a paper."""

from __future__ import annotations

from collections.abc import Sequence

from nplight.metrics import Estimate, Measure
from nplight.results import PATH_MEASURES, Claim, Comparison, Findings


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


def findings_to_markdown(findings: Findings) -> str:
    """The comparison, the methods' paths and the claims, as Markdown tables."""
    parts = [to_markdown(findings.comparison), paths_to_markdown(findings)]
    return "\n".join([*parts, claims_to_markdown(findings.claims)] if findings.claims else parts)


def paths_to_markdown(findings: Findings) -> str:
    """What the paths themselves are like, one line per method, with 95% intervals."""
    heads = ["", *(measure.title for measure in PATH_MEASURES)]
    rows = [heads, ["---", *["---:"] * len(PATH_MEASURES)]]
    for method in findings.comparison.methods:
        estimates = ((measure.estimate_of(findings, method), measure) for measure in PATH_MEASURES)
        cells = [
            "–" if value is None else measure.text(value.value) + _brackets(value, measure)
            for value, measure in estimates
        ]
        rows.append([f"`{method}`", *cells])
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def claims_to_markdown(claims: Sequence[Claim]) -> str:
    """A Markdown table of claims."""
    rows = ["| claim | verdict | why |", "| --- | --- | --- |"]
    return "".join(
        f"{row}\n" for row in [*rows, *(f"| {claim.text} | **{claim.verdict}** | {claim.reason} |" for claim in claims)]
    )


def _brackets(estimate: Estimate, measure: Measure) -> str:
    return "" if estimate.low != estimate.low else f" [{measure.text(estimate.low)}, {measure.text(estimate.high)}]"


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _escaped(text: str) -> str:
    return "".join(rf"\{sign}" if sign in "_%&#" else sign for sign in text).replace("Δ", r"$\Delta$")
