"""Write docs/performance.md and its figures from what the benchmarks measured.

    python -m benchmarks.performance

Every number on that page is one that `benchmarks.search`, `benchmarks.scaling`, `benchmarks.agreement`,
`benchmarks.adaptive` or `benchmarks.input_pipeline` wrote to `benchmarks/results/`; the figures need Chrome or
Chromium.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import auto_cli

from benchmarks.performance_figures import draw

_PAGE = Path(__file__).with_name("performance_page.md")
_ADAPTIVE = Path(__file__).parent / "results" / "adaptive.json"
_PIPELINE = Path(__file__).parent / "results" / "input_pipeline.json"


def main(results: str = "benchmarks/results", docs: str = "docs") -> None:
    """Write the page and its figures.

    Args:
        results: the folder of the benchmarks' JSON files.
        docs: where `performance.md` and `figures/` go.
    """
    search, scaling, agreement, adaptive = (
        json.loads((Path(results) / f"{name}.json").read_text())
        for name in ("search", "scaling", "agreement", "adaptive")
    )
    (Path(docs) / "performance.md").write_text(page(search, scaling, agreement, adaptive), encoding="utf-8")
    draw(search, scaling, agreement, adaptive, Path(docs) / "figures")


def page(
    search: dict[str, Any], scaling: dict[str, Any], agreement: dict[str, Any], adaptive: dict[str, Any] | None = None
) -> str:
    """The text, from what the benchmarks wrote; `adaptive`: `None` reads the file in `benchmarks/results`."""
    adaptive = adaptive or json.loads(_ADAPTIVE.read_text())
    measured = search["measured"]
    passes = {name: sum(row["block_passes"].values()) for name, row in measured.items()}
    exact = measured["exact"]["block_passes"]
    return _PAGE.read_text(encoding="utf-8").format(
        machine=search["machine"],
        threads=search["threads"],
        torch=search["torch"],
        timm=search["timm"],
        model=search["model"],
        steps=search["steps"],
        rounds=search["rounds"],
        matrix=f"{search['matrix_gflops']:.0f}",
        published_passes=passes["published order"],
        plain_passes=passes["one autograd.grad a layer"],
        exact_passes=passes["exact"] + exact["with tangent"],
        search=_search(measured),
        ratios=_ratios(measured),
        base=", ".join(f"{name} {value}" for name, value in scaling["base"].items()),
        scaling=_scaling(scaling["measured"]),
        count=agreement["images"],
        nodes=_nodes(agreement["agreement"]),
        others=_others(agreement["agreement"]),
        adaptive=_adaptive(adaptive["comparisons"]),
        adaptive_ratios=_adaptive_ratios(adaptive),
        pipeline=_pipeline(json.loads(_PIPELINE.read_text())),
    )


def _pipeline(measured: dict[str, Any]) -> str:
    counts = list(next(iter(measured["images_per_second"].values())))
    loaded = [
        [form, *(f"{rates[count]:.0f}" for count in counts)] for form, rates in measured["images_per_second"].items()
    ]
    searched = [
        [f"search, {name}", f"{rate:.3g}", *[""] * (len(counts) - 1)]
        for name, rate in measured["searched_per_second"].items()
    ]
    return _markdown(["images a second, by loader processes", *counts], [*loaded, *searched])


def _adaptive(rows: Sequence[dict[str, Any]]) -> str:
    cells = [
        [
            row["of"],
            row["images"],
            f"{row['seconds_every_node']:.3g}",
            f"{row['seconds_default']:.3g}",
            f"{row['seconds_every_node'] / row['seconds_default']:.2f}",
            f"{row['evaluations']:.1f} of {row['every_evaluations']:.0f}",
            row["in_full"],
            f"{row['equal_paths']} of {row['images']}",
            f"{row['largest_score_error']:.0e}",
        ]
        for row in rows
    ]
    titles = ["", "images", "every node", "default", "× faster", "evaluations", "in full", "equal paths", "score error"]
    return _markdown(titles, cells)


def _adaptive_ratios(adaptive: dict[str, Any]) -> str:
    rows = {row["of"]: row for row in adaptive["comparisons"]}
    large, frozen = rows["vit_tiny_patch16_224"], rows["vit_tiny_patch16_224, frozen"]
    few, many = rows["digits, K = 1"], rows["digits, K = 1, 200 nodes"]
    gates = rows["digits, joint integrated gradients"]
    published = adaptive["published_seconds"]
    lines = [
        f"on vit_tiny_patch16_224 the default is {published / large['seconds_default']:.1f} times as fast as the "
        f"published order of work, and frozen {published / frozen['seconds_default']:.0f} times;",
        f"frozen costs {frozen['seconds_default'] / adaptive['clean_forward_seconds']:.1f} clean forward passes;",
        f"200 nodes take {many['seconds_default'] / few['seconds_default']:.2f} times as long as 20;",
        f"joint integrated gradients take {gates['seconds_default'] / few['seconds_default']:.2f} of the time of jas.",
    ]
    return "".join(f"- {line}\n" for line in lines)


def _search(measured: dict[str, Any]) -> str:
    first = measured["published order"]["seconds_per_image"]
    rows = [
        [
            name,
            row["images"],
            f"{row['seconds_per_image']:.3g}",
            f"{first / row['seconds_per_image']:.1f}",
            f"{row['gflop_per_image']:.3g}",
            f"{100 * row['share_of_matrix_rate']:.0f}",
            f"{row['peak_mib']:.0f}",
        ]
        for name, row in measured.items()
    ]
    titles = ["", "images", "s / image", "× faster", "GFLOP / image", "% of matrix rate", "peak MiB"]
    return _markdown(titles, rows)


def _ratios(measured: dict[str, Any]) -> str:
    def ratio(slow: str, fast: str) -> str:
        return f"{measured[slow]['seconds_per_image'] / measured[fast]['seconds_per_image']:.1f}"

    many = next(name for name in measured if name.startswith("exact, ") and name.endswith(" images"))
    frozen, plain = measured["frozen"]["images"], "one autograd.grad a layer"
    memory = measured["exact, the same chunk"]["peak_mib"] / measured[plain]["peak_mib"]
    lines = [
        f"exact is {ratio('published order', 'exact')} times as fast as the published order of work, and "
        f"{ratio(plain, 'exact')} times as fast as one gradient a layer;",
        f"with 8 Gauss-Legendre nodes, {ratio('published order', 'exact, 8 Gauss-Legendre nodes')} times as fast as "
        "the published order;",
        f"frozen is {ratio(many, 'frozen')} times as fast as exact on {frozen} images, and costs "
        f"{ratio('frozen', 'clean forward')} clean forward passes;",
        f"with the same rows in flight, exact takes {100 * memory:.0f}% of the memory of one gradient a layer.",
    ]
    return "".join(f"- {line}\n" for line in lines)


def _scaling(measured: Sequence[dict[str, Any]]) -> str:
    rows = []
    for changed in dict.fromkeys(row["changed"] for row in measured):
        for stream in ("exact", "frozen"):
            found = [row for row in measured if (row["changed"], row["patch_stream"]) == (changed, stream)]
            low, high = found[-2:]
            growth = math.log(high["value"] / low["value"])
            rows.append(
                [
                    changed,
                    stream,
                    f"{found[0]['value']} … {high['value']}",
                    f"{found[0]['seconds']:.3f} … {high['seconds']:.3f}",
                    f"{math.log(high['seconds'] / low['seconds']) / growth:.2f}",
                    f"{math.log(high['gflop'] / low['gflop']) / growth:.2f}",
                    f"{found[0]['peak_mib']:.0f} … {high['peak_mib']:.0f}",
                ]
            )
    titles = ["", "patch stream", "from … to", "seconds", "exponent of seconds", "exponent of FLOPs", "peak MiB"]
    return _markdown(titles, rows)


def _nodes(rows: Sequence[dict[str, Any]]) -> str:
    cells: dict[str, dict[str, str]] = {}
    for row in rows:
        rule, _, nodes = row["of"].rpartition(", ")
        if nodes.endswith(" nodes") and row["against"].startswith("64 Gauss") and rule != "frozen":
            shares = f"{100 * row['neurons']:.1f} / {100 * row['paths']:.1f}, {row['score_difference']:.0e}"
            cells.setdefault(rule, {})[nodes] = shares
    counts = list(dict.fromkeys(nodes for found in cells.values() for nodes in found))
    return _markdown(["", *counts], [[rule, *(found[nodes] for nodes in counts)] for rule, found in cells.items()])


def _others(rows: Sequence[dict[str, Any]]) -> str:
    chosen = [row for row in rows if row["of"].startswith(("frozen", "float", "one ", "bfloat"))]
    cells = [
        [
            row["of"],
            row["against"],
            f"{100 * row['neurons']:.1f}",
            f"{100 * row['paths']:.1f}",
            f"{row['score_difference']:.0e}",
            f"{row['score_correlation']:.5f}",
        ]
        for row in chosen
    ]
    return _markdown(["", "against", "neurons %", "paths %", "score", "correlation"], cells)


def _markdown(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [titles, ["---", *("---:" for _ in titles[1:])], *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
