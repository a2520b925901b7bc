from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from nplight.data import ImageBatch
from nplight.runs import EvaluationRun, EvaluationSettings, SearchRun, SearchSettings
from nplight.store import RunFolder
from tests.conftest import read_reference
from tests.runs.conftest import Halves
from tests.runs.slow_evaluation import SlowEvaluation, normalised

# The paths of all are alike; each objective is a measure of every row.
SEARCHES = [
    {"method": "activation", "objective": "margin"},
    {"name": "by_logit", "method": "activation", "objective": "logit"},
    {"name": "by_log_probability", "method": "activation", "objective": "log-probability"},
]
NORMALISED = ("accuracy", "probability", "log_probability", "logit", "margin")
SETTINGS = EvaluationSettings((0.5, 1.0), replicates=0, draws=2, depths=(0.5,), scales=(0.0, 0.5, 2.0))


def evaluate(halves: Halves, folder: Path, settings: EvaluationSettings, methods: list[Any]) -> list[dict[str, Any]]:
    """The rows of metrics.json of a search and an evaluation of `Halves`."""
    with SearchRun(halves.vit, RunFolder(folder), SearchSettings.of(methods, kept=(1, 3)), halves.context) as search:
        for batch in halves.batches(0):
            search.update(batch)
        search.conclude()
        with EvaluationRun(halves.vit, RunFolder(folder), search, settings, halves.context) as run:
            for batch in halves.batches(1):
                run.update(batch)
            run.conclude()
    rows: list[dict[str, Any]] = json.loads((folder / "metrics.json").read_text())["conditions"]
    return rows


@pytest.mark.parametrize("name", ["class_token", "patch_mean"])
def test_every_row_is_what_hooks_and_numpy_give_image_by_image(name: str, tmp_path: Path) -> None:
    halves = Halves(read_reference(name))
    rows = evaluate(halves, tmp_path, SETTINGS, SEARCHES)
    kinds = {(row["condition"], row["tokens"], row["layers"], row["scale"]) for row in rows}
    everywhere = {("none", "all", None, None), ("kept", "all", None, None), ("removed", "all", None, None)}
    assert kinds == everywhere | {
        ("clean", None, None, None), ("own clean", None, None, None), ("none", "path", None, None),
        ("removed", "path", None, None), ("enhanced", "path", None, None), ("kept", "path", None, None),
        ("removed", "path", 2, None), ("kept", "path", 2, None), ("scaled", "path", None, 0.5),
        ("own removed", "path", None, None), ("own enhanced", "path", None, None),
    }  # fmt: skip
    slow = SlowEvaluation(tmp_path, halves.reference, halves.vit.path_tokens, SETTINGS.draws)
    # Rows of the other searches are those of the first.
    chosen = [row for row in rows if row["method"] in ("", "activation", "random")]
    for row in chosen:
        for measure, value in slow.measures(row).items():
            assert row[measure] == pytest.approx(value, rel=1e-6, abs=1e-9), (row["method"], row["condition"], measure)
    curves = json.loads((tmp_path / "metrics.json").read_text())["normalised_faithfulness"]
    for method in ("activation", "random"):
        kinds = {(curve["measure"], curve["tokens"]): curve for curve in curves[method]}
        assert list(kinds) == [(measure, tokens) for tokens in ("path", "all") for measure in NORMALISED]
        for (measure, tokens), curve in kinds.items():
            if curve["undefined"] is None:
                slow_curve = normalised(rows, method, measure, tokens, slow.widths[0])
                assert curve["sizes"] == slow_curve["sizes"]
                values = [point["value"] for point in curve["values"]]
                assert values == pytest.approx(slow_curve["values"], rel=1e-4, abs=1e-5)
                for area in ("cpr", "cmd"):
                    assert curve[area]["value"] == pytest.approx(slow_curve[area], rel=1e-4, abs=1e-5)
        assert all(kinds[measure, "all"]["undefined"] is None for measure in ("log_probability", "logit", "margin"))


def test_a_search_is_compared_with_the_control_under_every_condition_with_a_path(
    halves: Halves, tmp_path: Path
) -> None:
    rows = evaluate(halves, tmp_path, EvaluationSettings((1.0,), replicates=20, draws=2), ["jas", "random"])
    assert {row["method"] for row in rows} == {"", "jas", "random"}
    control = {
        tuple(row[name] for name in ("condition", "kept", "pruned", "tokens", "layers", "scale")): row
        for row in rows
        if row["method"] == "random"
    }
    for row in rows:
        named = tuple(row[name] for name in ("condition", "kept", "pruned", "tokens", "layers", "scale"))
        assert ("accuracy_vs_random" in row) == (row["method"] == "jas")
        for measure in ("probability", "accuracy", "probability_deviation") if row["method"] == "jas" else ():
            lead = row[measure] - control[named][measure]
            assert row[f"{measure}_vs_random"] == pytest.approx(lead, abs=1e-6)
            low, high = (row[f"{measure}_vs_random_{end}"] for end in ("low", "high"))
            assert low is None or low <= lead <= high


def test_what_is_turned_off_is_not_tested(halves: Halves, tmp_path: Path) -> None:
    settings = EvaluationSettings((1.0,), tokens="path", replicates=0, controls=None, depths=(), scales=(), own=False)
    rows = evaluate(halves, tmp_path, settings, ["activation"])
    assert [(row["condition"], row["kept"]) for row in rows] == [
        ("clean", None), ("none", None), ("removed", 1), ("enhanced", 1), ("kept", 1), ("kept", 3)
    ]  # fmt: skip
    assert not any("vs" in name for row in rows for name in row)


def test_controls_on_request_are_those_of_each_search(halves: Halves, tmp_path: Path) -> None:
    controls = ("random", "other-category", "like-activation")
    settings = EvaluationSettings((1.0,), replicates=0, controls=controls, draws=2, depths=(), scales=(), own=False)
    rows = evaluate(halves, tmp_path, settings, ["activation", "gradient_activation"])
    assert {row["method"] for row in rows} == {"", "activation", "gradient_activation", "random"} | {
        f"{control} of {search}" for control in controls[1:] for search in ("activation", "gradient_activation")
    }
    assert "Gathering references" in halves.passes
    searched = next(row for row in rows if row["method"] == "activation")
    assert {name for name in searched if name.startswith("accuracy_vs") and name.endswith(("n", "m", "y"))} == {
        f"accuracy_vs_{control}" for control in controls
    }


def test_results_depend_neither_on_batches_nor_on_their_order(halves: Halves, tmp_path: Path) -> None:
    settings = EvaluationSettings((0.5, 1.0), replicates=10, draws=3, depths=(0.5,), scales=(0.5,), pruned_per="image")
    rows = evaluate(halves, tmp_path / "one", settings, ["activation"])
    whole = halves.batches

    def batches(part: int) -> Any:
        joined = list(whole(part))
        images, labels, index = (
            torch.cat([getattr(one, name) for one in joined]) for name in ("images", "labels", "index")
        )
        for group in torch.arange(len(index)).flip(0).split(7):
            yield ImageBatch(images[group], labels[group], index[group])

    halves.batches = batches  # type: ignore[method-assign]
    for row, other in zip(rows, evaluate(halves, tmp_path / "other", settings, ["activation"]), strict=True):
        assert row == pytest.approx(other, abs=1e-6)
