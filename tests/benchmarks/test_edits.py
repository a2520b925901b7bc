"""What an edit of the trigger models does, and unlearning."""

from __future__ import annotations

from io import StringIO

import pytest
import torch
from rich.console import Console

from benchmarks import edits
from benchmarks.edits import Row, random_path, show, specific_neurons, trigger_rows, unlearned
from nplight import open_vit
from nplight.planted.trigger_training import digits_model
from nplight.seeds import seeded_generator


@pytest.mark.parametrize("name", ["trigger_1", "trigger_3"])
def test_the_planted_path_takes_the_trigger_along_and_nothing_else(name: str) -> None:
    rows = {row.edit: row for row in trigger_rows(name, seeds=(0,))}
    nothing, planted, random = (rows[edit] for edit in ("nothing", "planted path removed", "random path removed"))
    assert nothing.first.value > 0.95
    assert planted.first.high < 0.10
    assert planted.second.value >= nothing.second.value - 0.01
    assert random.first.value > 0.9
    assert rows["found path removed"].first.value < nothing.first.value - 0.3


def test_unlearning_changes_the_chosen_neurons_alone() -> None:
    chosen = specific_neurons(digits_model(), 3, 2)
    assert chosen.shape == (6, 2)
    before, after = digits_model().state_dict(), unlearned(chosen, 3, 2).state_dict()
    for layer in range(6):
        rows = (before[f"blocks.{layer}.mlp.fc1.weight"] != after[f"blocks.{layer}.mlp.fc1.weight"]).any(1)
        columns = (before[f"blocks.{layer}.mlp.fc2.weight"] != after[f"blocks.{layer}.mlp.fc2.weight"]).any(0)
        for changed in (rows, columns):
            assert set(changed.nonzero().flatten().tolist()) <= set(chosen[layer].tolist())
    assert all(torch.equal(before[name], after[name]) for name in before if "mlp" not in name)


def test_random_paths_are_distinct_neurons() -> None:
    path = random_path(digits_model(), 9, seeded_generator(0, 0))
    assert all(len(layer.unique()) == 9 for layer in path)
    assert (path < torch.tensor(open_vit(digits_model()).widths)[:, None]).all()


def test_the_table_has_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    text = StringIO()
    share = edits.Accuracy.of(19, 20)
    show([Row("nothing", share, share)], "Title", ("first", "second"), Console(file=text, width=100))
    assert text.getvalue().count("95.0% (75.1% … 99.9%)") == 2
