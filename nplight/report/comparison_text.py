"""Comparison, paths and claims as text: Markdown with intervals, LaTeX for a paper."""

from __future__ import annotations

from collections.abc import Sequence

from nplight.results import PATH_MEASURES, Claim, Comparison, Findings


def to_markdown(comparison: Comparison) -> str:
    """A Markdown table: measures down, methods across, 95% intervals in brackets, the best in bold."""
    rows = []
    for row in comparison.rows:
        cells = [f"**{text}**" if best else text for text, best in zip(row.texts, row.best)]
        intervals = map(row.compared.measure.interval_text, row.estimates)
        rows.append([row.compared.label, *map(str.__add__, cells, intervals)])
    return _numbers([f"`{method}`" for method in comparison.methods], rows)


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
    """The measures of the paths, one line per method, with 95% intervals."""
    rows = [
        [f"`{method}`", *(measure.text_of(findings, method, interval=True) for measure in PATH_MEASURES)]
        for method in findings.comparison.methods
    ]
    return _numbers([measure.title for measure in PATH_MEASURES], rows)


def claims_to_markdown(claims: Sequence[Claim]) -> str:
    """A Markdown table of claims."""
    rows = [[claim.text, claim.protocol, f"**{claim.verdict}**", claim.reason] for claim in claims]
    return _markdown([["claim", "paths", "verdict", "why"], ["---"] * 4, *rows])


def _numbers(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of numbers: right-aligned columns after a column of names without a heading."""
    return _markdown([["", *columns], ["---", *["---:"] * len(columns)], *rows])


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _escaped(text: str) -> str:
    return "".join(rf"\{sign}" if sign in "_%&#" else sign for sign in text).replace("Δ", r"$\Delta$")
