from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

import nplight
from nplight.callbacks import NeuronPathSearch, PathEvaluation
from nplight.errors import ArgumentError
from nplight.metrics import Condition, ConditionResult
from nplight.store import RunFolder
from tests.callbacks import small_runs
from tests.callbacks.foreign_project import OPTIONS, Foreign, make_trainer, search_and_evaluate
from tests.callbacks.several_searches import compare
from tests.conftest import Reference, make_vit


def whole(results: list[ConditionResult]) -> list[ConditionResult]:
    """Of JAS, with edits in all layers, at the path tokens, by no other factors than 0 and 2."""
    return [
        result
        for result in results
        if result.method in ("", "jas") and result.tokens in (None, "path") and not result.key.own
        if result.layers is None and result.scale is None
    ]


@pytest.mark.parametrize("inference_mode", [True, False])
def test_validate_finds_and_tests_what_the_functions_find_and_test(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, inference_mode: bool
) -> None:
    search, evaluation = search_and_evaluate(reference, loaders, tmp_path, inference_mode=inference_mode)
    discover, held_out = (torch.tensor(loader.dataset.indices) for loader in loaders)
    paths = nplight.search(reference.model, reference.images[discover], reference.labels[discover], steps=3, ranked=4)
    table = nplight.read_paths(tmp_path)
    assert table["index"].tolist() == (discover + 100).tolist()
    assert table["file"] == [f"image {index}" for index in table["index"].tolist()]
    assert torch.equal(table["label"], reference.labels[discover])
    assert torch.equal(table["target"], reference.labels[discover])
    assert torch.equal(table["neurons"], paths.neurons)
    assert torch.equal(table["ranking"], paths.ranking)
    torch.testing.assert_close(table["score"], paths.scores)
    torch.testing.assert_close(table["probability"], reference.expected["probability"][discover])

    stored, top_k = RunFolder(tmp_path).read_category_paths()
    assert top_k == 1
    for size in (1, 4):
        expected = nplight.category_paths(
            paths.ranking[..., :size],
            reference.labels[discover],
            num_classes=10,
            top_k=size,
            scores=paths.ranking_scores[..., :size],
        )
        assert torch.equal(search.category_paths["jas"][size].neurons, expected.neurons)
        assert torch.equal(stored["jas"][size].neurons, expected.neurons)

    labels = reference.labels[held_out]
    reference.model.eval()
    for result in whole(evaluation.results):
        operation = {"removed": "remove", "enhanced": "enhance", "kept": "keep"}.get(result.condition)
        if operation is None or result.pruned == 0.3:
            continue
        with torch.no_grad():
            clean = reference.model(reference.images[held_out]).softmax(1)
            with nplight.intervene(reference.model, stored["jas"][result.kept].of(labels), operation):
                edited = reference.model(reference.images[held_out]).softmax(1)
        before, after = (values.gather(1, labels[:, None])[:, 0] for values in (clean, edited))
        assert result.images == 40
        assert result.value("accuracy") == pytest.approx((edited.argmax(1) == labels).double().mean().item(), abs=1e-6)
        assert result.value("probability") == pytest.approx(after.mean().item(), abs=1e-6)
        assert result.value("probability_deviation") == pytest.approx(
            ((after - before) / before).mean().item(), abs=1e-5
        )
    names = [result.condition for result in whole(evaluation.results)]
    assert names == ["clean", "none", "removed", "enhanced"] + ["kept"] * 4
    rows = json.loads((tmp_path / "metrics.json").read_text())["conditions"]
    written = [{name: value for name, value in row.items() if "_vs_" not in name} for row in rows]
    assert written == [result.to_dict() for result in evaluation.results]


def test_stored_paths_are_tested_without_a_search(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    _, evaluation = search_and_evaluate(reference, loaders, tmp_path / "run")
    again = PathEvaluation(paths=tmp_path / "run", fractions=(0.3, 1.0), draws=4, run_dir=tmp_path / "test")
    make_trainer(again).test(Foreign(reference.model), loaders[1], verbose=False)
    # The images that the paths were found with are not at hand.
    held_out = [result.to_dict() for result in evaluation.results if not result.condition.startswith("own")]
    assert [result.to_dict() for result in again.results] == held_out
    assert not (tmp_path / "test" / "paths").exists()


def test_the_objectives_of_the_searches_are_measured_again_and_of_stored_paths(tmp_path: Path) -> None:
    methods = ("activation", {"name": "by_margin", "method": "activation", "objective": "margin"})
    run, names = tmp_path / "run", ("metrics.json", "metrics.csv", "by_category.csv")
    small_runs.validate(run, methods=methods)
    files = {name: (run / name).read_bytes() for name in names}
    assert all(b"margin_deviation" in content for content in files.values())
    assert not any(b"logit" in content for content in files.values())
    small_runs.validate(run, methods=methods)
    assert files == {name: (run / name).read_bytes() for name in names}
    again = PathEvaluation(paths=run, fractions=(0.5,), replicates=5, draws=2, run_dir=tmp_path / "test")
    loader = small_runs.loader(small_runs.HELD_OUT)
    make_trainer(again).test(Foreign(make_vit(num_classes=4)), loader, verbose=False)
    rows = {
        folder.name: json.loads((folder / "metrics.json").read_text())["conditions"]
        for folder in (run, tmp_path / "test")
    }
    assert rows["test"] == [row for row in rows["run"] if not row["condition"].startswith("own")]


def test_a_method_that_is_alone_has_the_figures_it_has_among_others(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    _, among, _ = compare(reference, loaders, tmp_path / "among", ["jas", "random"])
    _, alone, _ = compare(reference, loaders, tmp_path / "alone", ["random"])
    figures = [
        [result.to_dict() for result in evaluation.results if result.method == "random"]
        for evaluation in (among, alone)
    ]
    assert figures[0] == figures[1]
    assert len(figures[0]) > 10


@pytest.mark.parametrize("tokens", ["path", "all"])
@pytest.mark.parametrize("fill", ["mean", "peak", "resample"])
def test_a_fill_is_gathered_over_the_discover_images(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, fill: Any, tokens: Any
) -> None:
    search, evaluation, _ = compare(reference, loaders, tmp_path, ["jas"], fill=fill, tokens=tokens)
    discover, held_out = (torch.tensor(loader.dataset.indices) for loader in loaders)
    images, labels = reference.images[held_out], reference.labels[held_out]
    references = nplight.references(reference.model, [reference.images[discover]], fill, tokens=tokens)
    reference.model.eval()
    for size in (1, 4):
        neurons, values = search.category_paths["jas"][size].of(labels), references.of(images)
        with (
            torch.no_grad(),
            nplight.intervene(reference.model, neurons, "keep", fill=fill, references=values, tokens=tokens),
        ):
            probability = reference.model(images).softmax(1).gather(1, labels[:, None]).mean().item()
        wanted = Condition("kept", size, 1.0, tokens)
        (result,) = (result for result in evaluation.results if (result.method, result.key) == ("jas", wanted))
        assert result.value("probability") == pytest.approx(probability, abs=1e-6)
    notes = json.loads((tmp_path / "metrics.json").read_text())["notes"]
    assert f"pruned neurons hold their fill '{fill}', not 0" in notes
    assert any("every token" in note for note in notes) == (tokens == "all")


def test_more_neurons_than_a_layer_has_are_capped_and_said_so(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = NeuronPathSearch(run_dir=tmp_path, **{**OPTIONS, "steps": 1, "kept": (1, 500)})
    evaluation = PathEvaluation(run_dir=tmp_path, fractions=(1.0,), draws=2)
    make_trainer(search, evaluation).validate(Foreign(reference.model), loaders, verbose=False)
    results = whole(evaluation.results)
    assert [result.kept for result in results] == [None, None, 1, 1, 1, 192]
    # All neurons kept is the clean model.
    assert results[-1].value("probability") == results[0].value("probability")
    note = "500 neurons a layer were asked for; the narrowest layer has 192"
    assert note in json.loads((tmp_path / "metrics.json").read_text())["notes"][0]
    assert note in " ".join(capsys.readouterr().out.split())


def test_bad_fractions_are_refused_when_the_callback_is_made() -> None:
    with pytest.raises(ArgumentError, match="`fractions` must be"):
        PathEvaluation(fractions=(30,))


def test_what_cannot_be_compared_is_refused_before_work(
    reference: Reference, loaders: list[DataLoader[Any]], jas_run: Path, tmp_path: Path
) -> None:
    stored = PathEvaluation(paths=jas_run, fill="mean", run_dir=tmp_path / "test")
    with pytest.raises(ArgumentError, match="`fill` must be 'zero' in `test`"):
        make_trainer(stored).test(Foreign(reference.model), loaders[1], verbose=False)
    for options, reason in [
        ({"fill": "noise"}, "`fill` must be"),
        ({"tokens": "cls"}, "`tokens` must be"),
        ({"controls": "random"}, "`controls` must be a list of names"),
        ({"controls": ["shuffled"]}, "`controls` must be one of 'random'"),
        ({"draws": 0}, "`draws` must be"),
        ({"pruned_per": "batch"}, "`pruned_per` must be"),
        ({"depths": (2,)}, "`depths` must be a fraction"),
        ({"scales": (-1,)}, "`scales` must be finite factors of at least 0"),
    ]:
        with pytest.raises(ArgumentError, match=reason):
            PathEvaluation(**options)
    with pytest.raises(ArgumentError, match="`replicates` must be"):
        PathEvaluation(replicates=-1)
