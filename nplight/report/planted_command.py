"""The command `planted`."""

from __future__ import annotations

import argparse
import difflib
import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from fnmatch import filter as matching
from functools import partial
from multiprocessing import get_context

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from nplight.attribution import OBJECTIVES
from nplight.errors import ArgumentError, listed
from nplight.methods import METHODS
from nplight.planted import MODELS, Judgement, Judgements, judge
from nplight.report.planted_page import planted_html
from nplight.report.planted_tables import planted_tables
from nplight.store import RunFolder
from nplight.store.file_names import PLANTED_JSON, PLANTED_PAGE

_DEFAULT_OBJECTIVE = "probability"
_MOST_WORKERS, _MODELS_PER_WORKER = 4, 12  # a worker holds a GiB and takes ten seconds to start
_ROWS_IN_FLIGHT = 512  # of these small models, so many fit in the cache of a core
_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeElapsedColumn(),
    TimeRemainingColumn(),
)


def planted_command(arguments: Sequence[str]) -> None:
    """Judge methods by models whose neuron paths are known: tables, `planted.json` and `planted.html`.

    Args:
        arguments: of the command line, after `planted`.

    Raises:
        ArgumentError: an unknown method, model or objective.
        RunFolderError: the run folder cannot be written.
    """
    chosen = _parser().parse_args(arguments)
    methods = _chosen("methods", chosen.methods, METHODS)
    models = _chosen("models", chosen.models, MODELS)
    (objective,) = _chosen("objective", [chosen.objective], OBJECTIVES)
    if chosen.seeds < 1:
        raise ArgumentError(f"`--seeds` must be at least 1, got {chosen.seeds}")
    folder = RunFolder(chosen.run_dir)
    console = Console(quiet=chosen.quiet, highlight=False)
    work = partial(_judged, methods, objective=objective, seeds=range(chosen.seeds))
    judged: list[Judgement] = []
    with Progress(*_COLUMNS, console=console, transient=True, disable=not console.is_terminal) as progress:
        for judgements_of_model in progress.track(_mapped(work, models), len(models), description="Judging on models"):
            judged += judgements_of_model
    judgements = Judgements.of(judged, objective, chosen.seeds)
    folder.write(PLANTED_JSON, json.dumps(judgements.to_dict(), indent=1) + "\n")
    folder.write(PLANTED_PAGE, planted_html(judgements))
    console.print(*planted_tables(judgements), sep="\n")
    for name in (PLANTED_JSON, PLANTED_PAGE):
        console.print(f"Results: {folder.path / name}", markup=False, soft_wrap=True)


def _judged(methods: Sequence[str], model: str, *, objective: str, seeds: Sequence[int]) -> list[Judgement]:
    return judge(methods, model, objective=objective, seeds=seeds, chunk_size=_ROWS_IN_FLIGHT)


def _mapped(work: Callable[[str], list[Judgement]], models: Sequence[str]) -> Iterator[list[Judgement]]:
    """The work on every model in order, on several processes of one thread each where that is worth their start."""
    workers = min(_MOST_WORKERS, os.cpu_count() or 1, len(models) // _MODELS_PER_WORKER)
    if workers <= 1:
        yield from map(work, models)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        # The last models, those of the trigger, take longest: begun last, one process would end long after the others.
        begun = [pool.submit(work, model) for model in reversed(models)]
        yield from (future.result() for future in reversed(begun))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="train.py planted",
        description="Judge methods by Vision Transformers whose neuron paths are known.",
        allow_abbrev=False,
    )
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="by default all; also a list such as [jas,random]")
    parser.add_argument("--models", nargs="+", metavar="NAME", help="by default all; also patterns such as 'chain-*'")
    parser.add_argument(
        "--objective", default=_DEFAULT_OBJECTIVE, metavar="NAME", help="what is attributed; by default %(default)s"
    )
    parser.add_argument("--seeds", type=int, default=1, metavar="COUNT", help="models per case; by default %(default)s")
    parser.add_argument(
        "--run_dir", default="runs/planted", metavar="DIR", help="where results go; by default %(default)s"
    )
    parser.add_argument("--quiet", action="store_true", help="print refusals alone")
    return parser


def _chosen(option: str, words: Sequence[str] | None, choices: Collection[str]) -> list[str]:
    """The choices that words name, each once, in order; a word is a name, a pattern, or a list in brackets."""
    if words is None:
        return list(choices)
    names = [name for word in words for name in word.strip("[]").replace(",", " ").split()]
    matches = {name: [name] if name in choices else matching(choices, name) for name in names}
    unknown = [name for name, found in matches.items() if not found]
    if unknown or not names:
        similar = [near for name in unknown for near in difflib.get_close_matches(name, choices, n=3)]
        raise ArgumentError(
            f"`--{option}` must name some of the {len(choices)} there are, got {listed(unknown) or 'none'}; "
            f"similar names: {listed(similar or choices)}"
        )
    return list(dict.fromkeys(name for found in matches.values() for name in found))
