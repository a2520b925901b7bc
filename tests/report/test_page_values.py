from __future__ import annotations

import json
import shutil
from pathlib import Path

from nplight.report import read_run
from nplight.report.page_data import contents
from nplight.report.page_values import quadrature_rules, run_again, selectivity_caption, similar_pairs
from tests.report.samples import write_run


def test_pairs_have_an_interval_where_one_was_measured(finished: Path) -> None:
    run = read_run(finished)
    lists = similar_pairs(run, contents(run))
    assert list(lists) == ["jas", "random"]
    for search, (most, least) in lists.items():
        assert (most.title, least.title) == ("Most similar pairs", "Least similar pairs")
        for pair, known in zip(most.pairs, run.metrics["paths"][search]["most_similar"]):
            assert pair.categories == " – ".join(map(str, known["categories"]))
            assert pair.cosine == f"{known['value']:.3f}"
            assert pair.interval == f"{known['low']:.3f} … {known['high']:.3f}"


def test_pairs_of_a_run_without_metrics_have_no_interval(tmp_path: Path) -> None:
    write_run(tmp_path, categories=3, images=4)
    run = read_run(tmp_path)
    most, _ = similar_pairs(run, contents(run))["jas"]
    assert most.pairs
    assert {pair.interval for pair in most.pairs} == {""}


def test_pairs_with_nothing_in_common_are_counted(tmp_path: Path) -> None:
    write_run(tmp_path, categories=20, images=3, width=2000)
    run = read_run(tmp_path)
    page = contents(run)
    _, least = similar_pairs(run, page)["jas"]
    assert least.pairs == []
    assert least.sentence == f"{page.pairs['jas'].apart:,} pairs have no neuron in common."
    assert page.pairs["jas"].apart > 100


def test_the_caption_of_selectivity_counts_what_is_seen(finished: Path) -> None:
    run = read_run(finished)
    accuracy = run.selectivity["accuracy"]
    best = sum(row[number] == max(row) for number, row in enumerate(accuracy))
    assert f"In {best} of 10 categories" in selectivity_caption(run)


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
