"""Several searches in one run: stored, compared, tested with every fill, on one process or two."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

import nplight
from nplight.callbacks import NeuronPathSearch, PathEvaluation, PathSelectivity
from nplight.errors import ArgumentError, RunFolderError
from nplight.store import RunFolder
from tests.callbacks.test_callbacks import (
    OPTIONS,
    Foreign,
    _shared,
    contents,
    loaders,
    make_loaders,
    make_trainer,
    quiet,
)
from tests.conftest import Reference, read_reference

__all__ = ["loaders", "quiet"]

METHODS: list[Any] = [
    "jas",
    "activation",
    "random",
    {"name": "jointly", "method": "jas", "granularity": "category"},
    {"name": "anew", "method": "jas", "search_per_t": True},
]


def run(
    reference: Reference, loaders: list[DataLoader[Any]], folder: Path, methods: list[Any] = METHODS, **options: Any
) -> tuple[NeuronPathSearch, PathEvaluation, Trainer]:
    search = NeuronPathSearch(run_dir=folder, methods=methods, **OPTIONS)
    settings = {"fractions": (0.5, 1.0), "replicates": 50}
    trainer_options = {name: options.pop(name) for name in list(options) if name not in ("fill", "tokens", "overwrite")}
    search.overwrite = options.get("overwrite", False)
    evaluation = PathEvaluation(run_dir=folder, **{**settings, **options})
    trainer = make_trainer(search, evaluation, **trainer_options)
    trainer.validate(Foreign(reference.model), loaders, verbose=False)
    return search, evaluation, trainer


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[NeuronPathSearch, PathEvaluation, Path]:
    """A run of `METHODS` and its folder, to be read."""
    folder, reference = tmp_path_factory.mktemp("compared"), read_reference("class_token")
    search, evaluation, _ = run(reference, make_loaders(reference), folder)
    return search, evaluation, folder


@pytest.fixture(scope="module")
def jas_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of JAS alone, to be read or copied."""
    folder, reference = tmp_path_factory.mktemp("jas"), read_reference("class_token")
    run(reference, make_loaders(reference), folder, ["jas"])
    return folder


def test_every_search_is_stored_as_it_is_found_alone(
    reference: Reference,
    loaders: list[DataLoader[Any]],
    compared: tuple[NeuronPathSearch, PathEvaluation, Path],
) -> None:
    search, evaluation, folder = compared
    found = torch.tensor(loaders[0].dataset.indices)
    images, labels = reference.images[found], reference.labels[found]
    table = nplight.read_paths(folder)
    assert set(table.searches) == {"jas", "activation", "random", "jointly", "anew", "anew@4"}
    expected = {
        "jas": nplight.search(reference.model, images, labels, steps=3, ranked=4),
        "activation": nplight.search(reference.model, images, labels, method="activation", steps=3, ranked=4),
        "random": nplight.search(reference.model, images, labels, method="random", steps=3, ranked=4),
        "jointly": nplight.search(reference.model, images, labels, granularity="category", steps=3, ranked=4),
        "anew": nplight.search(reference.model, images, labels, steps=3),
        "anew@4": nplight.search(reference.model, images, labels, steps=3, top_k=4),
    }
    for name, paths in expected.items():
        rows = table.where(search=name)
        assert torch.equal(rows["ranking"], paths.ranking), name
        torch.testing.assert_close(rows["score"], paths.scores)
    # One path for a category: what its images share.
    for size in (1, 4):
        jointly = search.category_paths["jointly"][size].of(labels)
        assert torch.equal(jointly, expected["jointly"].ranking[..., :size])
    anew = nplight.category_paths(
        expected["anew@4"].neurons, labels, num_classes=10, top_k=4, scores=expected["anew@4"].neuron_scores
    )
    assert torch.equal(search.category_paths["anew"][4].neurons, anew.neurons)

    methods = ["jas", "activation", "random", "jointly", "anew"]
    assert [(one.method, one.condition) for one in evaluation.results[:3]] == [
        ("", "clean"), ("jas", "removed"), ("jas", "enhanced"),
    ]  # fmt: skip
    assert len(evaluation.results) == 1 + len(methods) * 6
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["methods"] == methods
    assert metrics["paths"]["activation"]["joint_score"]["value"] == pytest.approx(
        expected["activation"].scores.mean().item()
    )
    same = (expected["jas"].neurons == expected["activation"].neurons).double().mean().item()
    assert metrics["method_agreement"]["activation"]["neurons"]["value"] == pytest.approx(same)
    assert metrics["method_agreement"]["anew"]["whole_paths"]["value"] == 1
    assert [claim["verdict"] in ("held", "not held", "undecided") for claim in metrics["claims"]] == [True] * 4
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["accuracy_low"]) <= float(row["accuracy"]) <= float(row["accuracy_high"]) for row in rows] == [
        True
    ] * len(rows)
    assert "| `jas` |" in (folder / "comparison.md").read_text()
    assert r"\begin{tabular}{lrrrrr}" in (folder / "comparison.tex").read_text()


def test_a_method_that_is_alone_has_the_figures_it_has_among_others(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    _, among, _ = run(reference, loaders, tmp_path / "among", ["jas", "random"])
    _, alone, _ = run(reference, loaders, tmp_path / "alone", ["random"])
    assert [one for one in among.results if one.method == "random"] == alone.results[1:]


def test_two_processes_compare_as_one(reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path) -> None:
    run(reference, loaders, tmp_path / "one", fill="peak")
    run(
        reference,
        [_shared(loader) for loader in loaders],
        tmp_path / "two",
        devices=2,
        strategy="ddp_fork",
        use_distributed_sampler=False,
        fill="peak",
    )
    files = [(tmp_path / name / "category_paths.json").read_bytes() for name in ("one", "two")]
    assert files[0] == files[1]
    one, two = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("one", "two"))
    for row, other in zip(one["conditions"], two["conditions"]):
        assert row == pytest.approx(other, abs=1e-6)
    assert _numbers(one["paths"]) == pytest.approx(_numbers(two["paths"]), rel=1e-5, abs=1e-9)


def _numbers(content: Any) -> list[float]:
    if isinstance(content, dict):
        return [number for value in content.values() for number in _numbers(value)]
    if isinstance(content, list):
        return [number for value in content for number in _numbers(value)]
    return [] if content is None else [content]


def test_the_same_again_searches_nothing_and_another_method_only_itself(
    reference: Reference,
    loaders: list[DataLoader[Any]],
    compared: tuple[NeuronPathSearch, PathEvaluation, Path],
    jas_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(compared[2], tmp_path, dirs_exist_ok=True)
    before = contents(tmp_path)
    searched = []
    real = nplight.search

    def look(*arguments: Any, **options: Any) -> Any:
        searched.append(options["method"])
        return real(*arguments, **options)

    monkeypatch.setattr("nplight.runs.image_rows.search", look)
    monkeypatch.setattr("nplight.runs.category_passes.CategorySearch", lambda *_: pytest.fail("searched again"))
    run(reference, loaders, tmp_path)
    assert contents(tmp_path) == before
    assert searched == []
    with pytest.raises(RunFolderError, match="other settings"):
        run(reference, loaders, tmp_path, [*METHODS, "cross_layer"])  # the evaluation is of other methods
    shutil.copytree(jas_run, tmp_path / "more")
    searched.clear()
    NeuronPathSearch(run_dir=tmp_path / "more", methods=["jas", "activation"], **OPTIONS)
    search = NeuronPathSearch(run_dir=tmp_path / "more", methods=["jas", "activation"], **OPTIONS)
    make_trainer(search).validate(Foreign(reference.model), loaders, verbose=False)
    assert set(searched) == {"activation"}


@pytest.mark.parametrize("tokens", ["path", "all"])
@pytest.mark.parametrize("fill", ["mean", "peak", "resample"])
def test_a_fill_is_gathered_over_the_discover_images(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, fill: Any, tokens: Any
) -> None:
    search, evaluation, _ = run(reference, loaders, tmp_path, ["jas"], fill=fill, tokens=tokens)
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
        (found,) = (one for one in evaluation.results if (one.kept, one.pruned) == (size, 1.0))
        assert found.value("probability") == pytest.approx(probability, abs=1e-6)
    notes = json.loads((tmp_path / "metrics.json").read_text())["notes"]
    assert f"pruned neurons hold their fill '{fill}', not 0" in notes
    assert any("every token" in note for note in notes) == (tokens == "all")


def test_selectivity_tests_every_category_under_every_path(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = NeuronPathSearch(run_dir=tmp_path, **OPTIONS)
    selectivity = PathSelectivity(run_dir=tmp_path, kept=4, replicates=50)
    make_trainer(search, selectivity).validate(Foreign(reference.model), loaders, verbose=False)
    held_out = torch.tensor(loaders[1].dataset.indices)
    images, labels = reference.images[held_out], reference.labels[held_out]
    content = json.loads((tmp_path / "selectivity.json").read_text())
    reference.model.eval()
    for category in (0, 7):
        neurons = search.category_paths["jas"][4].neurons[category]
        with torch.no_grad(), nplight.intervene(reference.model, neurons, "keep"):
            right = (reference.model(images).argmax(1) == labels).double()
        expected = [right[labels == label].mean().item() for label in range(10)]
        assert [row[category] for row in content["accuracy"]] == pytest.approx(expected)
    assert content["images"] == [4] * 10
    assert f"{content['own']['value']:.1%}".rstrip("%") in capsys.readouterr().out


def test_overwrite_replaces_a_run_of_other_settings(
    reference: Reference, loaders: list[DataLoader[Any]], jas_run: Path, tmp_path: Path
) -> None:
    shutil.copytree(jas_run, tmp_path, dirs_exist_ok=True)
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(RunFolderError, match="other settings"):
        run(reference, loaders, tmp_path, ["jas"], fill="mean")
    run(reference, loaders, tmp_path, ["random"], fill="mean", overwrite=True)
    assert nplight.read_paths(tmp_path).searches == ("random",)
    assert RunFolder(tmp_path).read_category_paths()[0].keys() == {"random"}
    assert (tmp_path / "mine.txt").read_text() == "kept"


def test_a_damaged_part_is_set_aside_and_its_images_searched_again(
    reference: Reference, loaders: list[DataLoader[Any]], jas_run: Path, tmp_path: Path
) -> None:
    shutil.copytree(jas_run, tmp_path, dirs_exist_ok=True)
    before = contents(tmp_path)
    part = sorted((tmp_path / "paths").iterdir())[2]
    part.write_bytes(part.read_bytes()[:-100])
    with pytest.warns(UserWarning, match=f"set aside as damaged-1-{part.name}"):
        run(reference, loaders, tmp_path, ["jas"])
    after = contents(tmp_path)
    assert after.pop(f"paths/damaged-1-{part.name}")
    assert after == before


def test_what_cannot_be_compared_is_refused_before_work(
    reference: Reference, loaders: list[DataLoader[Any]], jas_run: Path, tmp_path: Path
) -> None:
    module = Foreign(reference.model)
    search = NeuronPathSearch(run_dir=tmp_path, **OPTIONS)
    jointly = NeuronPathSearch(run_dir=tmp_path, methods=METHODS[3:4], **OPTIONS)
    cases = [
        ([search, PathSelectivity(search="other")], "`search` must be one of jas, got 'other'"),
        ([search, PathSelectivity(kept=3)], "`kept` must be a size that NeuronPathSearch forms"),
        ([PathSelectivity()], "PathSelectivity needs a NeuronPathSearch"),
    ]
    for callbacks, reason in cases:
        with pytest.raises(ArgumentError, match=reason):
            make_trainer(*callbacks).validate(module, loaders, verbose=False)
    with pytest.raises(ArgumentError, match="needs two validation loaders"):
        make_trainer(search, PathSelectivity()).validate(module, loaders[0], verbose=False)
    with pytest.raises(ArgumentError, match="predict has no labels for granularity 'category'"):
        make_trainer(jointly).predict(module, DataLoader(reference.images, batch_size=8))
    stored = PathEvaluation(paths=jas_run, fill="mean", run_dir=tmp_path / "test")
    with pytest.raises(ArgumentError, match="`fill` must be 'zero' in `test`"):
        make_trainer(stored).test(module, loaders[1], verbose=False)
    for options, reason in [({"fill": "noise"}, "`fill` must be"), ({"tokens": "cls"}, "`tokens` must be")]:
        with pytest.raises(ArgumentError, match=reason):
            PathEvaluation(**options)
    with pytest.raises(ArgumentError, match="`replicates` must be"):
        PathEvaluation(replicates=-1)
