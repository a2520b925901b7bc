from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from nplight.report import read_run
from nplight.report.similar_categories import kept_best, similar_categories
from tests.report.samples import write_run


def test_pairs_with_nothing_in_common_are_counted_and_not_listed() -> None:
    similarity = torch.eye(12).double()
    similarity[0, 1] = similarity[1, 0] = 0.5
    similarity[2], similarity[:, 2] = torch.nan, torch.nan
    found = similar_categories(similarity)
    assert found.most == [(0, 1, 0.5)]
    assert found.least == []
    assert found.apart == 11 * 10 // 2 - 1


def test_few_pairs_with_nothing_in_common_are_listed() -> None:
    draw = torch.Generator().manual_seed(0)
    values = torch.rand(9, 9, generator=draw).double() + 0.01
    found = similar_categories(values)
    assert found.apart == 0
    assert len(found.least) == 10
    assert found.least[0][2] == values[torch.triu(torch.ones(9, 9), 1).bool()].min()


def test_the_best_other_paths_of_many_categories(tmp_path: Path) -> None:
    write_run(tmp_path, categories=60, images=2)
    run = read_run(tmp_path)
    assert kept_best(run) is None
    draw = torch.Generator().manual_seed(0)
    accuracy = torch.rand(60, 60, generator=draw).double()
    rows = [[None if category == 5 else value for value in row] for category, row in enumerate(accuracy.tolist())]
    found = kept_best(replace(run, selectivity={"accuracy": rows}))
    assert found is not None
    assert found["own"][5] is None
    assert found["best"][5] == []
    for category in (0, 59):
        assert found["own"][category] == round(accuracy[category, category].item(), 4)
        others = sorted((value, -place) for place, value in enumerate(rows[category]) if place != category)  # type: ignore[type-var]
        assert [place for place, _ in found["best"][category]] == [-place for _, place in others[::-1][:10]]
    assert kept_best(replace(run, selectivity={"accuracy": [row[:50] for row in rows[:50]]})) is None
