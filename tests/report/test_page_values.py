from __future__ import annotations

import json
import shutil
from pathlib import Path

from nplight.report import read_run
from nplight.report.page_data import contents
from nplight.report.page_values import quadrature_rules, run_again, similar_pairs
from tests.report.samples import write_run


def test_pairs_have_an_interval_where_one_was_measured(finished: Path) -> None:
    run = read_run(finished)
    (most, _), (least, _) = lists = similar_pairs(run, contents(run))
    assert (most, least) == ("Most similar pairs", "Least similar pairs")
    measured = run.metrics["paths"]["jas"]["most_similar"]
    for pair, known in zip(lists[0][1], measured):
        assert pair.categories == " – ".join(map(str, known["categories"]))
        assert pair.cosine == f"{known['value']:.3f}"
        assert pair.interval == f"{known['low']:.3f} … {known['high']:.3f}"


def test_pairs_of_a_run_without_metrics_have_no_interval(tmp_path: Path) -> None:
    write_run(tmp_path, categories=3, images=4)
    run = read_run(tmp_path)
    (_, most), _ = similar_pairs(run, contents(run))
    assert most
    assert {pair.interval for pair in most} == {""}


def test_the_command_that_repeats_a_run_is_safe_to_paste(finished: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "it's; rm"))
    assert run_again(read_run(folder)) is None
    (folder / "config.yaml").touch()
    command = run_again(read_run(folder))
    assert command is not None
    assert command.startswith("python train.py validate --config '")
    assert """it'"'"'s; rm""" in command


def test_rules_are_those_of_the_searches_that_integrate(finished: Path) -> None:
    run = read_run(finished)
    assert quadrature_rules(run) == [(2, "riemann-left")]
    settings = json.loads((finished / "settings.json").read_text())
    assert "steps" not in settings["search"]
