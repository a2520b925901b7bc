from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from nplight.errors import ArgumentError
from nplight.runs import EvaluationRun, EvaluationSettings, RunContext, SearchRun, SearchSettings
from nplight.runs.context import discover_pass
from nplight.store import RunFolder
from tests.runs.conftest import Halves


def test_the_model_runs_in_the_context_and_the_settings_name_the_rest(halves: Halves, tmp_path: Path) -> None:
    entered = []

    @contextmanager
    def forward_context() -> Iterator[None]:
        entered.append(torch.is_grad_enabled())
        yield

    context = RunContext(forward_context=forward_context, precision="64-true", data={"scanner": "A"})
    with SearchRun(halves.vit, RunFolder(tmp_path), SearchSettings.of(steps=1), context) as search:
        for batch in halves.batches(0):
            search.update(batch)
        search.conclude()
    assert len(entered) == 3
    with EvaluationRun(halves.vit, RunFolder(tmp_path), search, EvaluationSettings((), replicates=0), context) as run:
        run.update(next(halves.batches(1)))
    assert len(entered) == 4
    stored = RunFolder(tmp_path).settings()
    assert (stored["search"]["precision"], stored["search"]["scanner"]) == ("64-true", "A")
    assert stored["evaluation"]["scanner"] == "A"


def test_without_a_trainer_the_precision_is_that_of_the_weights(halves: Halves, tmp_path: Path) -> None:
    context = RunContext(skipped=[("broken.png", "truncated")])
    with SearchRun(halves.vit, RunFolder(tmp_path), SearchSettings(), context):
        assert RunFolder(tmp_path).settings()["search"]["precision"] == "float64"
    assert "broken.png,truncated" in (tmp_path / "skipped_files.csv").read_text()


def test_a_loop_without_a_further_pass_is_told_what_it_is_for() -> None:
    with pytest.raises(ArgumentError, match="must have a `discover_pass`, which Scoring paths needs; got none"):
        next(discover_pass(RunContext(), "Scoring paths"))
