from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nplight.data import ImageBatch
from nplight.errors import RunFolderError
from nplight.metrics import Condition
from nplight.runs import EvaluationRun, EvaluationSettings, RunContext
from nplight.runs.own_paths import OwnPathTests
from nplight.store import RunFolder
from tests.runs.conftest import Halves
from tests.runs.test_search_run import search

SETTINGS = EvaluationSettings((1.0,), replicates=0, draws=2, depths=(), scales=())


def test_removal_and_enhancement_are_those_of_the_published_program(halves: Halves, tmp_path: Path) -> None:
    table = search(halves, tmp_path).image_paths().where(search="jas")
    tests = OwnPathTests(halves.vit, {"jas": table}, replace(SETTINGS, controls=None), 1)
    tests.run(halves.context)
    expected = halves.reference.expected
    # The paths of three nodes are those of twenty for most digits; the rest have other probabilities.
    same = (torch.as_tensor(table["neurons"])[..., 0] == expected["jas_neurons"][::2]).all(1)
    assert same.sum() > 20
    kept = torch.arange(0, 80, 2)[same]

    def discover_pass(purpose: str) -> list[ImageBatch]:
        assert purpose == "Testing images' own paths"
        return [ImageBatch(halves.reference.images[kept], halves.reference.labels[kept], kept)]

    among = OwnPathTests(halves.vit, {"jas": table}, replace(SETTINGS, controls=None), 1)
    among.run(RunContext(discover_pass=discover_pass))
    for name in ("removed", "enhanced"):
        condition = Condition("own removed" if name == "removed" else "own enhanced", 1)
        found = among.searches["jas"].estimate(condition, "probability").value
        assert found == pytest.approx(expected[f"{name}_probability"][kept].double().mean().item(), rel=1e-6)
    assert among.control is None


def test_an_image_that_was_not_searched_is_refused(halves: Halves, tmp_path: Path) -> None:
    table = search(halves, tmp_path).image_paths().where(search="jas")
    context = RunContext(discover_pass=lambda _: halves.batches(1))
    with pytest.raises(RunFolderError, match="no paths are stored for the images 1, 3"):
        OwnPathTests(halves.vit, {"jas": table}, SETTINGS, 1).run(context)


def test_a_loop_without_a_further_pass_says_that_own_paths_were_not_tested(halves: Halves, tmp_path: Path) -> None:
    searched = search(halves, tmp_path)
    with EvaluationRun(halves.vit, RunFolder(tmp_path), searched, SETTINGS) as run:
        run.update(next(halves.batches(1)))
        findings = run.conclude()
    assert not any(result.key.own for result in findings.results)
    note = "images' own paths were not tested: the loop gives no further pass over the discover images"
    assert note in json.loads((tmp_path / "metrics.json").read_text())["notes"]
