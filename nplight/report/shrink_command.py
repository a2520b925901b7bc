"""The command `shrink`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from nplight.errors import ArgumentError, RunFolderError, check_choice
from nplight.methods import METHODS
from nplight.modules.model_of_run import ModelOfRun, model_of_run
from nplight.neurons import references
from nplight.report.shrink_tables import shrink_html, shrink_table
from nplight.shrinking import export_onnx, save_model
from nplight.shrinking.comparison import RANDOM, Shrinker, ShrinkSettings, compare, count_of_models
from nplight.shrinking.rankings import (
    CONTROLS,
    holds_at_all_tokens,
    known_rankings,
    magnitude_scores,
    random_scores,
    search_scores,
    stored_scores,
)
from nplight.shrinking.top_share import ACROSS
from nplight.store import RunFolder, read_paths
from nplight.store.file_names import SHRUNK, SHRUNK_JSON, SHRUNK_MODEL, SHRUNK_ONNX, SHRUNK_PAGE

_MAGNITUDE = "magnitude"
_RUN = "run"
_FILLS = ("zero", "mean", "peak")
_COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


def shrink_command(arguments: Sequence[str]) -> None:
    """Make the model of a run smaller and measure it beside the model itself: table, page, figures, the model.

    Args:
        arguments: of the command line, after `shrink`.

    Raises:
        RunFolderError: there is no run, or its model or data are others now.
        ArgumentError: an option is wrong, or the ranking does not hold at all tokens.
    """
    chosen = _parser().parse_args(arguments)
    settings = _settings(chosen)
    run = model_of_run(chosen.run, chosen.device)
    if chosen.by is None:
        settings = replace(settings, by=next(iter(_at_all_tokens(run, _stored_searches(run))), _MAGNITUDE))
    rankings = _rankings(run, settings)
    fill = None if chosen.fill == "zero" else references(run.vit, _Images(run.discover), chosen.fill, tokens="all")
    shrinker = Shrinker(run.vit, fill, settings.across)
    console = Console(quiet=chosen.quiet, highlight=False)
    compared = {name: scores for name, scores in rankings.items() if name != RANDOM}
    with Progress(*_COLUMNS, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Measuring smaller models", total=count_of_models(len(compared), settings))
        comparison = compare(shrinker, compared, run.held_out, settings, lambda: progress.advance(task))
    folder = RunFolder(run.folder.path / SHRUNK / f"{settings.by}-{settings.keep:g}")
    small = shrinker.model(rankings[settings.by], settings.keep)
    written = [SHRUNK_MODEL, SHRUNK_JSON, SHRUNK_PAGE]
    save_model(small, folder.path / SHRUNK_MODEL)
    folder.write(SHRUNK_JSON, json.dumps(comparison.to_dict(), indent=1) + "\n")
    folder.write(SHRUNK_PAGE, shrink_html(comparison))
    if chosen.onnx:
        images = next(iter(run.held_out())).images
        export_onnx(small, folder.path / SHRUNK_ONNX, images[:1].repeat(2, 1, 1, 1) if len(images) < 2 else images)
        written.append(SHRUNK_ONNX)
    console.print(*shrink_table(comparison), sep="\n")
    for name in written:
        console.print(f"Results: {folder.path / name}", markup=False, soft_wrap=True)


class _Images:
    """The images of batches, again and again."""

    def __init__(self, batches: Callable[[], Iterable[Any]]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Tensor]:
        return (batch.images for batch in self._batches())


def _rankings(run: ModelOfRun, settings: ShrinkSettings) -> dict[str, Sequence[Tensor]]:
    """The ranking of the model that is written, and magnitude beside it."""
    stored = _stored_searches(run)
    by = settings.by
    if by == _RUN:
        if not stored:
            raise RunFolderError(f"{run.folder.path} must hold the paths of a search for --by run, but has none")
        by = next(iter(_at_all_tokens(run, stored)), stored[0])
    check_choice("--by", by, [*known_rankings(stored), _RUN])
    scores: Sequence[Tensor] | None = None
    if by == RANDOM:
        scores = random_scores(run.vit.widths, settings.seed)
    elif by != _MAGNITUDE:
        anew = by in METHODS and settings.by != _RUN and by not in _at_all_tokens(run, stored)
        if by in stored and not anew:
            scores = stored_scores(run.vit, by, read_paths(run.folder.path).where(search=by), settings.keep)
        if scores is None and by not in METHODS:
            raise ArgumentError(
                f"`--by` {by}: its stored rankings hold too few neurons for --keep {settings.keep:g}; rank more of "
                f"them, by a larger number in `kept`, or keep fewer"
            )
        if scores is None:
            scores = search_scores(run.vit, by, run.discover)
    magnitude = magnitude_scores(run.vit, run.discover)
    return {_MAGNITUDE: magnitude} if scores is None else {settings.by: scores, _MAGNITUDE: magnitude}


def _at_all_tokens(run: ModelOfRun, stored: Sequence[str]) -> list[str]:
    """The stored searches whose paths hold at all tokens."""
    table = read_paths(run.folder.path) if stored else None
    return [name for name in stored if table is not None and holds_at_all_tokens(run.vit, table.where(search=name))]


def _stored_searches(run: ModelOfRun) -> list[str]:
    try:
        return list(read_paths(run.folder.path).searches)
    except RunFolderError:
        return []


def _settings(chosen: argparse.Namespace) -> ShrinkSettings:
    for option, share in (("--keep", chosen.keep), *(("--shares", share) for share in chosen.shares)):
        if not 0 < share <= 1:
            raise ArgumentError(f"`{option}` must be in (0, 1], a share of the neurons such as 0.5, got {share:g}")
    for option, count in (("--draws", chosen.draws), ("--rounds", chosen.rounds)):
        if count < 1:
            raise ArgumentError(f"`{option}` must be at least 1, got {count}")
    try:
        torch.empty(0, device=chosen.device)
    except (RuntimeError, AssertionError) as error:
        raise ArgumentError(
            f"`--device` must be a device of this machine, such as cpu or cuda, got {chosen.device}"
        ) from error
    return ShrinkSettings(
        keep=chosen.keep,
        by=chosen.by or _MAGNITUDE,
        shares=tuple(chosen.shares),
        across=chosen.across,
        draws=chosen.draws,
        seed=chosen.seed,
        rounds=chosen.rounds,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="train.py shrink",
        description="Make the model of a finished run smaller, and measure it beside the model itself.",
        allow_abbrev=False,
    )
    default = ShrinkSettings(keep=0.5, by=_MAGNITUDE)
    parser.add_argument("run", metavar="RUN", help="the run folder")
    parser.add_argument("--keep", type=float, default=default.keep, metavar="SHARE", help="kept share of the neurons")
    parser.add_argument(
        "--by",
        metavar="NAME",
        help=f"what ranks the neurons: {', '.join(CONTROLS)}, a search of the run with `tokens: all`, run for the "
        "first of these, or a method, which then searches at all tokens; by default the first such search of the run, "
        f"or {_MAGNITUDE}",
    )
    parser.add_argument("--fill", choices=_FILLS, default="zero", help="what stands in the removed neurons")
    parser.add_argument(
        "--across", choices=ACROSS, default=default.across, help="whether the share is of each layer or of the model"
    )
    parser.add_argument(
        "--shares", type=float, nargs="*", default=default.shares, metavar="SHARE", help="further ones in the figure"
    )
    parser.add_argument("--draws", type=int, default=default.draws, metavar="COUNT", help="random models")
    parser.add_argument("--seed", type=int, default=default.seed, help="of the random models")
    parser.add_argument("--rounds", type=int, default=default.rounds, metavar="COUNT", help="of timing")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="where models run")
    parser.add_argument("--onnx", action="store_true", help="also write the model as ONNX, checked in onnxruntime")
    parser.add_argument("--quiet", action="store_true", help="print refusals alone")
    return parser
