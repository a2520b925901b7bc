"""Pieces of the page in HTML; whatever comes from outside is escaped."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from html import escape

from nplight.report.texts import CHARTS

__all__ = ["bullets", "chart", "escape", "facts", "known_charts", "options", "section", "short", "table"]

_LONGEST = 60
_WIDE = 60


def short(text: object) -> str:
    """Escaped, and cut where it is long, the whole of it as a tooltip."""
    whole = str(text)
    if len(whole) <= _LONGEST:
        return escape(whole)
    return f'<span title="{escape(whole)}">{escape(whole[: _LONGEST - 1])}…</span>'


def section(name: str, title: str, *parts: str) -> str:
    """A section of the page with its head."""
    return f'<section id="{name}"><h2>{escape(title)}</h2>{"".join(parts)}</section>'


def chart(name: str, title: str, explanation: str) -> str:
    """A place for a figure, which the script draws."""
    return (
        f'<figure class="chart"><figcaption><h3>{escape(title)}</h3><p>{escape(explanation)}</p></figcaption>'
        f'<div class="plot" data-figure="{name}" role="img" aria-label="{escape(f"{title}. {explanation}")}"></div>'
        f"</figure>"
    )


def known_charts(figures: Container[str], *names: str) -> str:
    """Places for those of the named figures that there are, with the page's texts."""
    return "".join(chart(name, *CHARTS[name]) for name in names if name in figures)


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], explanation: str = "") -> str:
    """A table; the cells of `rows` are HTML already, the first of a row is its head."""
    heads = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(f'<td data-head="{escape(name)}">{cell}</td>' for name, cell in zip(head[1:], row[1:]))
        + "</tr>"
        for row in rows
    )
    # On a phone the cells of a wide table stand below each other, each with its head.
    wide = " wide" if len(head) > 4 or any(len(cell) > _WIDE for row in rows for cell in row[1:]) else ""
    told = f"<p>{escape(explanation)}</p>" if explanation else ""
    return (
        f'<div class="table{wide}"><h3>{escape(title)}</h3>{told}<div class="scroll" tabindex="0" role="region" '
        f'aria-label="{escape(title)}"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div></div>'
    )


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and values, which are HTML already."""
    return f"<dl>{''.join(f'<div><dt>{escape(name)}</dt><dd>{value}</dd></div>' for name, value in pairs)}</dl>"


def bullets(lines: Iterable[str]) -> str:
    """A list of lines, which are HTML already."""
    return f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>"


def options(names: Sequence[str]) -> str:
    """The choices of a `select`, by number."""
    return "".join(f'<option value="{number}">{escape(name)}</option>' for number, name in enumerate(names))
