"""A search run writes what the callback writes, whoever drives it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import nplight
from nplight.callbacks import NeuronPathSearch, PathEvaluation
from nplight.data import ImageBatch
from nplight.errors import ArgumentError, RunFolderError
from nplight.runs import EvaluationRun, EvaluationSettings, RunContext, SearchRun, SearchSettings, StoredPaths
from nplight.store import RunFolder
from tests.callbacks.foreign_project import Foreign, contents, make_trainer
from tests.runs.conftest import METHODS, Halves


def search(halves: Halves, folder: Path) -> SearchRun:
    settings = SearchSettings.of(METHODS, kept=(1, 4), steps=3)
    with SearchRun(halves.vit, RunFolder(folder), settings, halves.context) as run:
        for batch in halves.batches(0):
            run.update(batch)
        run.conclude()
    return run


def test_a_plain_loop_writes_what_the_callbacks_write(halves: Halves, tmp_path: Path) -> None:
    searched = search(halves, tmp_path / "loop")
    settings = EvaluationSettings((0.5, 1.0), fill="mean", replicates=20, draws=2)
    with EvaluationRun(halves.vit, RunFolder(tmp_path / "loop"), searched, settings, halves.context) as run:
        for batch in halves.batches(1):
            run.update(batch)
        results = run.conclude().results

    callbacks = [
        NeuronPathSearch(run_dir=tmp_path / "trainer", methods=METHODS, kept=(1, 4), steps=3),
        PathEvaluation(run_dir=tmp_path / "trainer", fractions=(0.5, 1.0), fill="mean", replicates=20, draws=2),
    ]
    parts = [torch.arange(80)[part::2] for part in (0, 1)]
    reference = halves.reference
    loaders = [
        DataLoader(TensorDataset(reference.images[index], reference.labels[index], index), batch_size=16)
        for index in parts
    ]
    make_trainer(*callbacks).validate(Foreign(reference.model), loaders, verbose=False)
    loop, trainer = contents(tmp_path / "loop"), contents(tmp_path / "trainer")
    for files in (loop, trainer):
        del files["settings.json"]  # which names the Trainer's precision
    assert loop.keys() >= {"category_paths.json", "metrics.json", "metrics.csv", "comparison.md"}
    names = [{Path(name).name.partition(".")[0] for name in files if "part-" in name} for files in (loop, trainer)]
    assert len(names[0]) == len(names[1]) > 1
    assert {name: text for name, text in loop.items() if "part-" not in name} == {
        name: text for name, text in trainer.items() if "part-" not in name
    }
    tables = [nplight.read_paths(tmp_path / name) for name in ("loop", "trainer")]
    for name in ("jas", "jointly"):
        one, other = (table.where(search=name) for table in tables)
        assert all(torch.equal(torch.as_tensor(one[column]), torch.as_tensor(other[column]))
                   for column in ("index", "neurons", "score", "ranking_scores"))  # fmt: skip
    assert callbacks[1].results == results


def test_an_image_that_is_stored_is_not_searched_again(
    halves: Halves, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = search(halves, tmp_path).category_paths
    monkeypatch.setattr("nplight.searching.named_search.search", lambda *_, **__: pytest.fail("searched again"))
    passes = len(halves.passes)
    again = search(halves, tmp_path).category_paths
    assert len(halves.passes) == passes > 0
    for name, sizes in before.items():
        assert all(torch.equal(paths.neurons, again[name][size].neurons) for size, paths in sizes.items())


def test_the_folder_is_free_after_a_run_and_after_one_that_failed(halves: Halves, tmp_path: Path) -> None:
    search(halves, tmp_path)
    with pytest.raises(RunFolderError, match="other settings"):
        SearchRun(halves.vit, RunFolder(tmp_path), SearchSettings.of(["activation"]))
    with pytest.raises(KeyError), SearchRun(halves.vit, RunFolder(tmp_path), SearchSettings(), overwrite=True):
        raise KeyError
    assert (tmp_path / ".lock").read_bytes() == b""


def test_what_cannot_be_run_is_refused(halves: Halves, tmp_path: Path) -> None:
    folder, settings = RunFolder(tmp_path), SearchSettings.of(METHODS)
    with pytest.raises(ArgumentError, match="a `discover_pass`, which granularity 'category' of jointly needs"):
        SearchRun(halves.vit, folder, settings)
    with pytest.raises(ArgumentError, match="`top_k` must be at most 192"):
        SearchRun(halves.vit, folder, SearchSettings.of(top_k=257))
    with pytest.raises(ArgumentError, match="must tell apart the 3 categories of the data"):
        SearchRun(halves.vit, folder, context=RunContext(data={"categories": 3}))
    assert not (tmp_path / "settings.json").exists()
    no_images = pytest.raises(ArgumentError, match="must give images to find paths with")
    with SearchRun(halves.vit, folder, SearchSettings()) as run, no_images:
        run.conclude()
    with SearchRun(halves.vit, folder, SearchSettings()) as run, pytest.raises(ArgumentError, match="must have labels"):
        run.update(ImageBatch(halves.reference.images[:2]))


def test_images_without_labels_are_searched_for_their_predictions(halves: Halves, tmp_path: Path) -> None:
    with SearchRun(halves.vit, RunFolder(tmp_path), SearchSettings(labelled=False)) as run:
        run.update(ImageBatch(halves.reference.images[:20]))
        run.update(ImageBatch(halves.reference.images[20:30]))
        assert run.conclude() == {}
    table = run.image_paths()
    assert table["index"].tolist() == list(range(30))
    assert torch.equal(torch.as_tensor(table["target"]), halves.reference.expected["logits"][:30].argmax(1))


def test_a_search_of_another_objective_says_so(halves: Halves, tmp_path: Path) -> None:
    methods = ["jas", {"name": "by_logit", "method": "jas", "objective": "logit"}]
    with SearchRun(halves.vit, RunFolder(tmp_path), SearchSettings.of(methods, steps=2)) as run:
        assert run.notes == ["by_logit: its scores are of the logit, not of the probability"]
        run.update(next(halves.batches(0)))
    stored = RunFolder(tmp_path).settings()
    assert stored["search by_logit"]["objective"] == "logit"
    assert "objective" not in stored["search jas"]
    table = run.image_paths()
    scores = [torch.as_tensor(table.where(search=name)["score"]) for name in ("jas", "by_logit")]
    assert not torch.allclose(*scores)


def test_a_run_at_all_tokens_is_evaluated_at_all_tokens(halves: Halves, tmp_path: Path) -> None:
    settings = SearchSettings.of(["activation"], top_k=2, kept=(), tokens="all")
    with SearchRun(halves.vit, RunFolder(tmp_path), settings, halves.context) as run:
        for batch in halves.batches(0):
            run.update(batch)
        category_paths = run.conclude()
    assert category_paths["activation"][2].tokens == "all"
    assert run.notes == ["activation: neurons were read and edited at every token, not at the path tokens alone"]
    stored = StoredPaths(tmp_path)
    assert stored.tokens == {"activation": "all"}
    assert nplight.read_paths(tmp_path).tokens == "all"
    nplight.shrink(halves.vit, nplight.read_paths(tmp_path))
    evaluation = EvaluationSettings((1.0,), replicates=0, draws=2)
    with EvaluationRun(halves.vit, RunFolder(tmp_path), run, evaluation, halves.context) as tested:
        for batch in halves.batches(1):
            tested.update(batch)
        results = tested.conclude().results
    assert {result.tokens for result in results} == {None, "all"}
    images, labels = halves.reference.images[1::2], halves.reference.labels[1::2]
    paths = category_paths["activation"][2].of(labels)
    with torch.no_grad(), nplight.intervene(halves.vit, paths, "remove", tokens="all"):
        expected = halves.vit.forward(images).softmax(1).gather(1, labels[:, None]).mean().item()
    (removed,) = [
        one for one in results if one.condition == "removed" and one.method == "activation" and not one.layers
    ]
    assert removed.value("probability") == pytest.approx(expected, abs=1e-6)


def test_only_the_searches_that_froze_the_patch_stream_are_called_an_approximation(
    halves: Halves, tmp_path: Path
) -> None:
    settings = SearchSettings.of(["jas", "activation", "random"], kept=(4, 500), patch_stream="frozen")
    with SearchRun(halves.vit, RunFolder(tmp_path), settings) as run:
        assert run.notes == [
            f"500 neurons a layer were asked for; the narrowest layer has {min(halves.vit.widths)}, kept instead",
            "jas: an approximation, with the patch tokens frozen at their clean values",
        ]
        assert run.sizes == (1, 4, min(halves.vit.widths))
