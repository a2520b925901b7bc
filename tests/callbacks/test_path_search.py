from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

import nplight
from nplight.callbacks import NeuronPathSearch, PathEvaluation
from nplight.errors import ArgumentError, NonFiniteError, RunFolderError
from nplight.store import RunFolder
from tests.callbacks.foreign_project import OPTIONS, Foreign, Stop, contents, make_trainer, search_and_evaluate
from tests.callbacks.several_searches import METHODS, compare
from tests.conftest import Reference


def test_every_search_is_stored_as_it_is_found_alone(
    reference: Reference,
    loaders: list[DataLoader[Any]],
    compared: tuple[NeuronPathSearch, PathEvaluation, Path],
) -> None:
    search, evaluation, folder = compared
    discover = torch.tensor(loaders[0].dataset.indices)
    images, labels = reference.images[discover], reference.labels[discover]
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
        torch.testing.assert_close(rows["effect"], paths.effect)
    # One path for a category: what its images share.
    for size in (1, 4):
        jointly = search.category_paths["jointly"][size].of(labels)
        assert torch.equal(jointly, expected["jointly"].ranking[..., :size])
    anew = nplight.category_paths(
        expected["anew@4"].neurons, labels, num_classes=10, top_k=4, scores=expected["anew@4"].neuron_scores
    )
    assert torch.equal(search.category_paths["anew"][4].neurons, anew.neurons)

    methods = ["jas", "activation", "random", "jointly", "anew"]
    pathless = [(result.condition, result.tokens) for result in evaluation.results if not result.method]
    assert pathless == [("clean", None), ("none", "path"), ("none", "all"), ("own clean", None)]
    # Of each search, and of the control in place of the search of its name, the same conditions.
    conditions = {name: [one.key for one in evaluation.results if one.method == name] for name in methods}
    assert all(conditions[name] == conditions["jas"] for name in methods)
    assert len(evaluation.results) == len(pathless) + len(methods) * len(conditions["jas"])
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["methods"] == methods
    assert metrics["paths"]["activation"]["joint_score"]["value"] == pytest.approx(
        expected["activation"].scores.mean().item()
    )
    same = (expected["jas"].neurons == expected["activation"].neurons).double().mean().item()
    assert metrics["method_agreement"]["activation"]["neurons"]["value"] == pytest.approx(same)
    assert metrics["method_agreement"]["anew"]["whole_paths"]["value"] == 1
    assert [claim["verdict"] in ("held", "not held", "undecided") for claim in metrics["claims"]] == [True] * 6
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["accuracy_low"]) <= float(row["accuracy"]) <= float(row["accuracy_high"]) for row in rows] == [
        True
    ] * len(rows)
    assert "| `jas` |" in (folder / "comparison.md").read_text()
    assert r"\begin{tabular}{lrrrrr}" in (folder / "comparison.tex").read_text()


def test_the_same_again_searches_nothing_and_changes_nothing(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search_and_evaluate(reference, loaders, tmp_path / "run")
    before = contents(tmp_path / "run")
    monkeypatch.setattr("nplight.searching.named_search.search", lambda *_, **__: pytest.fail("searched again"))
    search_and_evaluate(reference, loaders, tmp_path / "run")
    assert contents(tmp_path / "run") == before


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

    monkeypatch.setattr("nplight.searching.named_search.search", look)
    monkeypatch.setattr("nplight.runs.category_passes.CategorySearch", lambda *_: pytest.fail("searched again"))
    compare(reference, loaders, tmp_path)
    assert contents(tmp_path) == before
    assert searched == []
    with pytest.raises(RunFolderError, match="other settings"):
        compare(reference, loaders, tmp_path, [*METHODS, "cross_layer"])  # the evaluation is of other methods
    shutil.copytree(jas_run, tmp_path / "more")
    searched.clear()
    NeuronPathSearch(run_dir=tmp_path / "more", methods=["jas", "activation"], **OPTIONS)
    search = NeuronPathSearch(run_dir=tmp_path / "more", methods=["jas", "activation"], **OPTIONS)
    make_trainer(search).validate(Foreign(reference.model), loaders, verbose=False)
    assert set(searched) == {"activation"}


def test_a_run_that_was_stopped_goes_on_to_the_same_files(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    search_and_evaluate(reference, loaders, tmp_path / "quiet")
    with pytest.raises(KeyError, match="stopped"):
        search_and_evaluate(reference, loaders, tmp_path / "stopped", stop=Stop(2))
    assert len(nplight.read_paths(tmp_path / "stopped")) == 14
    search_and_evaluate(reference, loaders, tmp_path / "stopped")
    assert contents(tmp_path / "stopped") == contents(tmp_path / "quiet")


def test_other_settings_are_refused_before_work_and_nothing_is_lost(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    search_and_evaluate(reference, loaders, tmp_path)
    before = contents(tmp_path)
    search = NeuronPathSearch(run_dir=tmp_path, **{**OPTIONS, "steps": 4})
    with pytest.raises(RunFolderError, match=r"other settings \(steps: 3 there, 4 now\)"):
        make_trainer(search).validate(Foreign(reference.model), loaders, verbose=False)
    with torch.no_grad():
        reference.model.head.bias[0] += 1
    with pytest.raises(RunFolderError, match=r"other settings \(model: "):
        search_and_evaluate(reference, loaders, tmp_path)
    assert contents(tmp_path) == before


def test_weights_of_a_ckpt_path_are_part_of_the_settings(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    module = Foreign(reference.model)
    trainer = make_trainer(max_steps=1)
    trainer.strategy.connect(module)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    with torch.no_grad():
        reference.model.head.bias[0] += 1
    trainer.save_checkpoint(tmp_path / "other.ckpt")

    def run(name: str) -> None:
        search = NeuronPathSearch(run_dir=tmp_path / "run", **OPTIONS)
        make_trainer(search).validate(module, loaders[0], ckpt_path=tmp_path / name, verbose=False)

    run("one.ckpt")
    before = contents(tmp_path / "run")
    with pytest.raises(RunFolderError, match=r"other settings \(model: "):
        run("other.ckpt")
    assert contents(tmp_path / "run") == before


def test_overwrite_replaces_a_run_of_other_settings(
    reference: Reference, loaders: list[DataLoader[Any]], jas_run: Path, tmp_path: Path
) -> None:
    shutil.copytree(jas_run, tmp_path, dirs_exist_ok=True)
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(RunFolderError, match="other settings"):
        compare(reference, loaders, tmp_path, ["jas"], fill="mean")
    compare(reference, loaders, tmp_path, ["random"], fill="mean", overwrite=True)
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
        compare(reference, loaders, tmp_path, ["jas"])
    after = contents(tmp_path)
    assert after.pop(f"paths/damaged-1-{part.name}")
    assert after == before


def test_predict_finds_paths_of_images_without_labels(reference: Reference, tmp_path: Path) -> None:
    images = reference.images[::9]
    search = NeuronPathSearch(run_dir=tmp_path, **OPTIONS)
    make_trainer(search).predict(Foreign(reference.model), DataLoader(images, batch_size=4))
    expected = nplight.search(reference.model, images, steps=3, ranked=4)
    table = nplight.read_paths(tmp_path)
    assert table["index"].tolist() == list(range(9))
    assert table["label"].tolist() == [-1] * 9
    assert torch.equal(table["target"], expected.predictions)
    assert torch.equal(table["neurons"], expected.neurons)


def test_predict_attributes_predictions_also_where_there_are_labels(reference: Reference, tmp_path: Path) -> None:
    images, wrong = reference.images[::9], (reference.labels[::9] + 1) % 10
    data = DataLoader(TensorDataset(images, wrong), batch_size=4)
    make_trainer(NeuronPathSearch(run_dir=tmp_path, **OPTIONS)).predict(Foreign(reference.model), data)
    table = nplight.read_paths(tmp_path)
    assert torch.equal(table["target"], reference.expected["logits"][::9].argmax(1))
    assert torch.equal(table["label"], wrong)


def test_broken_images_are_named_by_their_file(reference: Reference, tmp_path: Path) -> None:
    images = reference.images[:4].clone()
    images[2, 0, 0, 0] = torch.nan
    samples = [{"image": image, "label": 0, "index": 40 + number, "file": f"photo {number}.jpg"}
               for number, image in enumerate(images)]  # fmt: skip
    search = NeuronPathSearch(run_dir=tmp_path, **OPTIONS)
    with pytest.raises(NonFiniteError, match=r"NaN or infinite pixels \(photo 2\.jpg\)"):
        make_trainer(search).validate(Foreign(reference.model), DataLoader(samples, batch_size=4), verbose=False)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"method": "guess"}, "`method` must be one of"),
        ({"target": "truth"}, "`target` must be one of 'label', 'prediction'"),
        ({"category_method": "vote"}, "`category_method` must be one of"),
        ({"steps": 0}, "`steps` must be"),
        ({"rule": "simpson"}, "`rule` must be"),
        ({"top_k": 0}, "`top_k` must be"),
        ({"kept": (0,)}, "`kept` must be"),
        ({"chunk_size": -1}, "`chunk_size` must be"),
    ],
)
def test_bad_arguments_are_refused_when_the_callback_is_made(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason):
        NeuronPathSearch(**arguments)


def test_images_that_come_twice_are_refused(reference: Reference, tmp_path: Path) -> None:
    images, labels = reference.images[:8], reference.labels[:8]

    def run(index: list[int], batch_size: int) -> None:
        data = DataLoader(TensorDataset(images, labels, torch.tensor(index)), batch_size=batch_size)
        search = NeuronPathSearch(run_dir=tmp_path / f"{batch_size}", **OPTIONS)
        make_trainer(search).predict(Foreign(reference.model), data)

    with pytest.raises(ArgumentError, match="`index` must number each image of a batch differently"):
        run([0, 1, 2, 3, 3, 4, 5, 6], 8)
    with pytest.raises(RunFolderError, match="is there already: image 0 came twice"):
        run([0, 1, 2, 3, 0, 1, 2, 3], 4)
    assert len(nplight.read_paths(tmp_path / "4")) == 4


def test_other_images_under_the_same_numbers_are_refused(reference: Reference, tmp_path: Path) -> None:
    def run(images: Tensor) -> None:
        search = NeuronPathSearch(run_dir=tmp_path, **OPTIONS)
        make_trainer(search).predict(Foreign(reference.model), DataLoader(images, batch_size=4))

    run(reference.images[:8])
    before = contents(tmp_path)
    run(reference.images[:8])
    with pytest.raises(RunFolderError, match="already holds paths of other images under the numbers 0, 1, 2, 3"):
        run(reference.images[8:16])
    assert contents(tmp_path) == before


def test_one_path_per_category_is_refused_where_there_are_no_labels(reference: Reference, tmp_path: Path) -> None:
    jointly = NeuronPathSearch(run_dir=tmp_path, methods=METHODS[3:4], **OPTIONS)
    with pytest.raises(ArgumentError, match="predict has no labels for granularity 'category'"):
        make_trainer(jointly).predict(Foreign(reference.model), DataLoader(reference.images, batch_size=8))
