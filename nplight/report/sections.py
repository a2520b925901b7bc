"""The seven sections of the page."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Any

from nplight.report.html import bullets, escape, known_charts, section, table
from nplight.report.page_data import Contents
from nplight.report.result_sections import effect_section, run_section
from nplight.report.run_data import Run
from nplight.report.texts import CAVEATS, CITATION, DRIVERS, NO_PATHS, NO_PICTURES, PAIRS, PARTICULAR, SAMPLES, SHARED
from nplight.store.file_names import CONFIG


def all_sections(run: Run, found: Contents) -> list[tuple[str, str, str]]:
    """Name, title and HTML of each section, in order."""
    made: tuple[tuple[str, str, Callable[[Run, Contents], str]], ...] = (
        ("run", "What was run", run_section),
        ("effect", "What the paths do", effect_section),
        ("paths", "Paths", _paths),
        ("use", "Neuron use", _use),
        ("categories", "Categories", _categories),
        ("pictures", "Pictures", _pictures),
        ("caveats", "Caveats, reproduction, citation", _caveats),
    )
    return [(name, title, section(name, title, content(run, found))) for name, title, content in made]


def _paths(run: Run, found: Contents) -> str:
    return known_charts(found.figures, "paths") or _absent(NO_PATHS)


def _use(run: Run, found: Contents) -> str:
    tables = (
        f'<div class="pair" data-search="{escape(method)}">{_shared(found, method)}{_particular(found, method)}</div>'
        for method in found.shared
    )
    return (known_charts(found.figures, "use") or _absent(NO_PATHS)) + "".join(tables)


def _shared(found: Contents, method: str) -> str:
    rows = [
        (f"layer {one.layer}, {one.neuron}", f"{one.share:.1%}", f"{one.categories:,}") for one in found.shared[method]
    ]
    return table("Most shared neurons", ["neuron", "mean share", "categories"], rows, SHARED)


def _particular(found: Contents, method: str) -> str:
    rows = [
        (
            escape(found.data["names"][one.category]),
            f"layer {one.layer}, {one.neuron}",
            f"{one.share:.0%}",
            f"{one.elsewhere:.0%}",
        )
        for one in found.particular[method]
    ]
    return table("Most particular neurons", ["category", "neuron", "share", "next"], rows, PARTICULAR)


def _categories(run: Run, found: Contents) -> str:
    pairs = "".join(
        table(
            f"{which} similar pairs",
            ["categories", "cosine"],
            [_pair(run, found.data["names"], pair) for pair in some],
            PAIRS,
        )
        for which, some in zip(("Most", "Least"), found.pairs)
        if some
    )
    parts = [
        known_charts(found.figures, "similarity"),
        f'<div class="pair">{pairs}</div>',
        known_charts(found.figures, "map", "selectivity"),
    ]
    return "".join(parts) if found.shared or "selectivity" in found.figures else _absent(NO_PATHS)


def _pictures(run: Run, found: Contents) -> str:
    if not found.data["pictures"]:
        return _absent(NO_PICTURES)
    return (
        f'<h3>Images of the category</h3><p>{escape(SAMPLES)}</p><div class="gallery" id="samples"></div>'
        f"<h3>What drives a neuron</h3><p>{escape(DRIVERS)}</p>"
        '<label>Neuron <select id="neuron"></select></label><div class="gallery" id="drivers"></div>'
    )


def _caveats(run: Run, found: Contents) -> str:
    lines = [escape(note) for note in run.metrics.get("notes", [])]
    for name, values in run.settings.items():
        if values.get("patch_stream") == "frozen":
            lines.append(f"<b>Approximate:</b> {escape(name)} froze the patch tokens at their clean values.")
    rules = {(one["steps"], one["rule"]) for one in run.settings.values() if "steps" in one and "rule" in one}
    for steps, rule in sorted(rules):
        paper = ", as in the paper" if (steps, rule) == (20, "riemann-left") else ""
        lines.append(f"{steps} {escape(rule)} nodes stand for the integral of the searches that have one{paper}.")
    lines += [escape(text.format(shown=found.shown)) for text in CAVEATS]
    return bullets(lines) + _reproduction(run) + f"<h3>Citation</h3><pre><code>{escape(CITATION)}</code></pre>"


def _reproduction(run: Run) -> str:
    parts = []
    if run.about.get("command"):
        parts.append(f"<p>It was run with</p><pre><code>{escape(run.about['command'])}</code></pre>")
    if (run.path / CONFIG).is_file():
        kind = run.settings.get("search", {}).get("command", "test")
        command = f"python train.py {kind} --config {shlex.quote(str(run.path / 'config.yaml'))}"
        parts.append(f"<p>Again, with every setting as it was</p><pre><code>{escape(command)}</code></pre>")
    if run.about.get("versions"):
        known = ", ".join(f"{name} {number}" for name, number in run.about["versions"].items())
        parts.append(f"<p>{escape(known)}</p>")
    return f"<h3>Reproduce</h3>{''.join(parts)}" if parts else ""


def _pair(run: Run, names: Sequence[str], pair: Sequence[Any]) -> tuple[str, str]:
    first, second, value = pair
    known = run.metrics.get("paths", {}).get(run.methods[0], {})
    listed = [*known.get("most_similar", ()), *known.get("least_similar", ())]
    found = next((one for one in listed if one["categories"] == [first, second] and one["low"] is not None), None)
    interval = "" if found is None else f"<br><small>{found['low']:.3f} … {found['high']:.3f}</small>"
    return escape(f"{names[first]} – {names[second]}"), f"{value:.3f}{interval}"


def _absent(text: str) -> str:
    return f'<p class="absent">{escape(text)}</p>'
