"""The pages of the repository, their links, their Python and their command lines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PROGRAM = r"(?:train\.py|nplight)"


class Command(NamedTuple):
    """A command line as a page prints it."""

    page: str
    words: list[str]


def name(page: Path) -> str:
    """Its path in the repository."""
    return page.relative_to(ROOT).as_posix()


def without_code(text: str) -> str:
    """A page without its code blocks and inline code."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    text = re.sub(r"^(?: {4}|\t).*$", "", text, flags=re.M)
    return re.sub(r"`[^`\n]*`", "", text)


def links(page: Path) -> list[str]:
    """The targets of its links and pictures that are no addresses."""
    targets = re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8")))
    return [target for target in targets if "://" not in target]


def anchors(page: Path) -> set[str]:
    """The anchors of its headings."""
    headings = re.findall(
        r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S), re.M
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def python(page: Path) -> list[str]:
    """Its blocks of Python."""
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)


def commands(page: Path) -> list[Command]:
    """The command lines of `train.py` and `nplight` in its blocks and in its inline code."""
    text = re.sub(r"\\\n\s*", " ", page.read_text(encoding="utf-8"))
    blocks = re.findall(rf"^(?: {{4}}|\t)[^#\n]*?\b{PROGRAM} +([a-z][^#\n]*)", text, re.M)
    inline = re.findall(rf"`{PROGRAM} +([a-z][^`\n]*)`", text)
    return [Command(name(page), words(line)) for line in (*blocks, *inline)]


def words(line: str) -> list[str]:
    """The words of a command line up to what ends it; what stands in brackets or quotes is one word."""
    line = re.split(r"\s(?:&&|\|)\s", line)[0]
    return re.findall(r"'[^']*'|\[[^\]]*\]|\S+", line)
