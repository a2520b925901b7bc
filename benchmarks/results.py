"""Compare all methods on the bundled digits model and write the results as a page.

    python -m benchmarks.results
    python -m benchmarks.results --run_dir null   # the page alone, from the stored results

The numbers of the run are stored in `benchmarks/results/digits.json`; those of planted models and of simulated
intervals are stored beside it by `benchmarks.ground_truth` and `benchmarks.coverage`. The text between the tables is
that of `benchmarks/results_page.md`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import auto_cli

import nplight.callbacks  # noqa: F401  (so that the configuration may name them)
from benchmarks import results_tables as tables
from benchmarks.ground_truth import RESULTS as PLANTED
from benchmarks.ground_truth import recovery_table
from benchmarks.results_record import CONFIG, Record, read_record, write_record
from nplight.cli import main as train
from nplight.metrics import MEASURES
from nplight.planted import Judgements
from nplight.planted.case_groups import CASE_TABLES

RESULTS = "benchmarks/results/digits.json"
COVERAGE = "benchmarks/results/coverage.json"
_PAGE = Path(__file__).with_name("results_page.md")
_SHOWN = ("jas", "joint_integrated_gradients")
"""The searches of tables that have no room for all."""


def main(run_dir: str | None = "runs/compare_digits", results: str = RESULTS, output: str = "docs/results.md") -> None:
    """Run the comparison and write the page.

    Args:
        run_dir: the run folder; a finished run is read, not run again. `null`: the results are used as they are.
        results: where the measurements are kept.
        output: the page.
    """
    if run_dir is not None:
        train(["validate", "--config", CONFIG, "--run_dir", run_dir])
        write_record(read_record(Path(run_dir)), Path(results))
    record, planted, coverage = (json.loads(Path(name).read_text()) for name in (results, PLANTED, COVERAGE))
    Path(output).write_text(page(record, Judgements.from_dict(planted), coverage), encoding="utf-8")


def page(record: Record, planted: Judgements, coverage: Mapping[str, Any]) -> str:
    """The text, from what the commands measured.

    Args:
        record: of the digits run, `results_record.read_record`.
        planted: what the methods recover of planted models.
        coverage: of the simulated intervals.
    """
    known = next(groups for groups in CASE_TABLES if groups.title == "all decoys")
    steps = record["sanity"]["steps"]
    return _PAGE.read_text(encoding="utf-8").format(
        planted=recovery_table(planted, known, "recall"),
        trained=record["trained"],
        discover=record["paths"]["jas"]["joint_score"]["images"],
        images=record["images"],
        kept=tables.against_random(record, _kept("path", 1, 5, 10), "probability"),
        kept_everywhere=tables.against_random(record, _kept("all", 1, 10, 30, 100), "probability"),
        top_1=tables.against_random(record, {**_kept("path", 1, 10), **_kept("all", 10, 30)}, "accuracy"),
        extremes=tables.extremes(record),
        partly_pruned=_partly_pruned(record),
        edited_top_1=_edited_top_1(record),
        removed=tables.against_random(record, _REMOVED, "probability_deviation"),
        protocols=tables.protocols(record),
        claims=tables.claims(record),
        faithfulness=tables.faithfulness(record),
        depth=tables.by_search(record, _SHOWN, _depths(record), "probability_deviation"),
        dose=tables.by_search(record, _SHOWN, _doses(record), "probability_deviation"),
        spread=tables.spread(record, {**_REMOVED, **_kept("path", 10)}),
        stability=tables.stability(record),
        stability_images=record["stability"]["images"],
        severities=len(record["stability"]["severities"]),
        random_share=f"{record['sanity']['random']:.1%}",
        sanity=tables.sanity(record),
        sanity_images=record["sanity"]["images"],
        sanity_steps=len(steps),
        caveat=record["sanity"]["read_out"]["caveat"],
        read_out=tables.read_out(record),
        paths=tables.paths(record),
        selectivity={
            name: tables.interval(record["selectivity"][name], ".1f", 100) for name in ("own", "others", "difference")
        },
        selectivity_kept=record["selectivity"]["kept"],
        coverage=tables.coverage(coverage),
        verdicts=tables.wrong_verdicts(coverage),
        samples=coverage["samples"],
    )


_REMOVED: dict[str, dict[str, Any]] = {
    "1 removed": {"condition": "removed", "kept": 1, "tokens": "path"},
    "1 removed, all tokens": {"condition": "removed", "kept": 1, "tokens": "all"},
}


def _kept(tokens: str, *sizes: int) -> dict[str, dict[str, Any]]:
    """Heading -> condition, with all others pruned."""
    place = ", all tokens" if tokens == "all" else ""
    return {
        f"{size} kept{place}": {"condition": "kept", "kept": size, "pruned": 1.0, "tokens": tokens} for size in sizes
    }


def _depths(record: Record) -> dict[str, dict[str, Any]]:
    layers = sorted({row["layers"] for row in record["conditions"] if row["layers"] is not None})
    return {
        f"{edit} in the first {count} layers": {"condition": edit, "tokens": "path", "layers": count}
        for edit in ("removed", "kept")
        for count in layers
    }


def _doses(record: Record) -> dict[str, dict[str, Any]]:
    scales = sorted({row["scale"] for row in record["conditions"] if row["scale"] is not None})
    doses = {scale: {"condition": "scaled", "scale": scale} for scale in scales}
    doses |= {0.0: {"condition": "removed", "tokens": "path"}, 2.0: {"condition": "enhanced", "tokens": "path"}}
    return {f"times {scale:g}": doses[scale] for scale in sorted(doses)}


def _partly_pruned(record: Record) -> str:
    """The range of top-1 with a part of the other neurons pruned."""
    return _range([row for row in record["conditions"] if row["pruned"] not in (None, 1)], "accuracy") + "%"


def _edited_top_1(record: Record) -> str:
    """The range of the change of top-1 with the path removed or enhanced."""
    edited = ("removed", "enhanced", "own removed", "own enhanced")
    return _range([row for row in record["conditions"] if row["condition"] in edited], "accuracy_deviation")


def _range(rows: Sequence[Mapping[str, Any]], measure: str) -> str:
    values = sorted({row[measure] for row in rows})
    return " to ".join(dict.fromkeys(MEASURES[measure].text(value) for value in (values[0], values[-1])))


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
