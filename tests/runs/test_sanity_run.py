from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nplight
from nplight.data import ImageSample
from nplight.errors import ArgumentError, NonFiniteError
from nplight.runs import SanityRun, SearchRun, SearchSettings
from nplight.runs.sanity_run import nearest, wrong_targets
from nplight.seeds import checksums, seeded_generator
from nplight.store import RunFolder
from nplight.vit import fingerprint
from tests.runs.conftest import Halves

PREFIXES = (("head.", "norm."), ("blocks.3.",), ("blocks.2.",), ("blocks.1.",), ("blocks.0.",), ("",))


def check(
    halves: Halves, folder: Path, methods: tuple[str, ...] = ("jas", "activation"), **options: Any
) -> dict[str, Any]:
    settings = SearchSettings.of(list(methods), steps=3, top_k=2, kept=(1, 4))
    with SearchRun(halves.vit, RunFolder(folder), settings) as searched:
        run = SanityRun(searched, **{"images": 10, **options})
        for batch in halves.batches(0):
            searched.update(batch)
            run.update(batch)
        result = run.conclude()
    assert result == json.loads((folder / "sanity.json").read_text())
    return result


def share(first: Tensor, second: Tensor) -> float:
    return float(np.mean([len(set(a.tolist()) & set(b.tolist())) / 2 for a, b in zip(first, second)]))


def sampled(halves: Halves) -> Tensor:
    sample = ImageSample(10)
    for batch in halves.batches(0):
        sample.update(batch.images, batch.labels, batch.index, checksums(batch.images))
    return sample.share().index


def randomised_by_hand(model: nn.Module, steps: int) -> nn.Module:
    """A copy whose weights of the first steps are in random order, found by their names."""
    model, done, drawn = copy.deepcopy(model), set(), 0
    for prefixes in PREFIXES[:steps]:
        for name, parameter in model.named_parameters():
            if name not in done and name.startswith(prefixes):
                done.add(name)
                order = torch.randperm(parameter.numel(), generator=seeded_generator(0, drawn))
                parameter.data = parameter.data.flatten()[order].view(parameter.shape)
                drawn += 1
    return model


def test_every_share_is_that_of_a_model_randomised_by_hand(halves: Halves, tmp_path: Path) -> None:
    before = fingerprint(halves.reference.model)
    result = check(halves, tmp_path)
    assert fingerprint(halves.reference.model) == before
    assert result["steps"] == ["head", "block 3", "block 2", "block 1", "block 0", "embedding"]
    images, labels = (values[sampled(halves)] for values in (halves.reference.images, halves.reference.labels))
    options: dict[str, Any] = {"steps": 3, "top_k": 2, "ranked": 4}
    clean = nplight.search(halves.reference.model, images, labels, **options).neurons
    for steps, estimate in enumerate(result["searches"]["jas"]["randomised"], 1):
        model = randomised_by_hand(halves.reference.model, steps)
        after = nplight.search(model, images, labels, **options).neurons
        expected = np.mean([share(*pair) for pair in zip(clean, after)])
        assert estimate["value"] == pytest.approx(expected, abs=1e-6), steps
    assert result["searches"]["jas"]["randomised"][-1]["value"] < 0.3
    # What never sees the head keeps its paths without it.
    activation = result["searches"]["activation"]["randomised"]
    assert (activation[0]["value"], activation[0]["high"]) == (1, 1)
    assert activation[-1]["value"] < 0.3


def test_a_wrong_target_moves_the_paths_of_what_sees_it(halves: Halves, tmp_path: Path) -> None:
    result = check(halves, tmp_path)
    index = sampled(halves)
    images, labels = (values[index] for values in (halves.reference.images, halves.reference.labels))
    wrong = wrong_targets(labels, torch.tensor(checksums(images)), 10)
    options: dict[str, Any] = {"steps": 3, "top_k": 2, "ranked": 4}
    before, after = (nplight.search(halves.reference.model, images, of, **options).neurons for of in (labels, wrong))
    jas, activation = result["searches"]["jas"], result["searches"]["activation"]
    assert jas["wrong_target"]["value"] == pytest.approx(
        np.mean([share(*pair) for pair in zip(before, after)]), abs=1e-6
    )
    paths, _ = RunFolder(tmp_path).read_category_paths()
    credits = {"own": 0.0, "wrong": 0.0, "others": 0.0}
    for path, label, other in zip(after, labels.tolist(), wrong.tolist()):
        shares = [share(path, category) for category in paths["jas"][2].neurons]
        best = [category for category, value in enumerate(shares) if value == max(shares)]
        for category in best:
            name = "own" if category == label else "wrong" if category == other else "others"
            credits[name] += 1 / len(best) / len(images)
    assert {name: jas["nearest"][name]["value"] for name in credits} == pytest.approx(credits, abs=1e-6)
    assert activation["wrong_target"]["value"] == 1
    assert activation["nearest"] == activation["nearest_before"]
    assert activation["wrong_target"]["low"] < 0.95


def test_categories_are_read_out_of_paths_and_not_of_random_ones(halves: Halves, tmp_path: Path) -> None:
    read_out = check(halves, tmp_path, methods=("jas", "random"))["read_out"]
    assert "the search was given the category that is read out here" in read_out["caveat"]
    for target in ("label", "prediction"):
        jas, random = (read_out["searches"][name][target] for name in ("jas", "random"))
        control = read_out["control"][target]
        assert jas["low"] > max(random["value"], control["value"])
        assert random["low"] < 0.1 < random["high"]
        assert control["low"] < 0.1 < control["high"]


def test_an_error_in_the_middle_restores_the_weights(
    halves: Halves, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, seen = fingerprint(halves.reference.model), []

    def failing(*arguments: Any) -> Tensor:
        seen.append(fingerprint(halves.reference.model))
        if len(seen) == 3:
            raise NonFiniteError("made up", [0])
        return torch.zeros(10, dtype=torch.float64)

    monkeypatch.setattr("nplight.runs.sanity_run.path_shares", failing)
    with pytest.raises(NonFiniteError, match="made up"):
        check(halves, tmp_path, methods=("activation",))
    assert seen[0] == before != seen[2]
    assert fingerprint(halves.reference.model) == before
    assert not (tmp_path / "sanity.json").exists()


def test_a_finished_result_is_not_measured_again(
    halves: Halves, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = check(halves, tmp_path, methods=("activation",))
    monkeypatch.setattr(SanityRun, "measure", None)
    assert check(halves, tmp_path, methods=("activation",)) == first


def test_wrong_targets_are_all_other_categories() -> None:
    targets = torch.arange(4000) % 5
    wrong = wrong_targets(targets, torch.arange(4000) * 7919, 5)
    assert (wrong != targets).all()
    assert ((wrong - targets) % 5).bincount()[1:].min() > 900
    assert not torch.equal(wrong, wrong_targets(targets, torch.arange(4000) * 7919, 5, seed=1))
    assert wrong_targets(torch.tensor([0, 1]), torch.tensor([5, 6]), 2).tolist() == [1, 0]


def test_the_nearest_of_equally_near_paths_share_the_credit() -> None:
    categories = torch.tensor([[[0], [1]], [[0], [2]], [[5], [5]], [[6], [6]]])
    paths = torch.tensor([[[0], [9]], [[0], [2]], [[7], [8]]])
    own, wrong = torch.tensor([0, 0, 0]), torch.tensor([1, 1, 3])
    assert nearest(paths, categories, own, wrong).tolist() == [[0.5, 0.5, 0], [0, 1, 0], [0.25, 0.25, 0.5]]


def test_bad_settings_are_refused(halves: Halves, tmp_path: Path) -> None:
    with SearchRun(halves.vit, RunFolder(tmp_path), SearchSettings.of(["activation"])) as searched:
        with pytest.raises(ArgumentError, match="`images` must be an integer of at least 1, got 0"):
            SanityRun(searched, images=0)
        with pytest.raises(ArgumentError, match="`seed` must be an integer of at least 0, got -1"):
            SanityRun(searched, seed=-1)
        with pytest.raises(ArgumentError, match="`searches` must be names among activation"):
            SanityRun(searched, searches=["jas"])
        searched.vit.num_classes = 1
        with pytest.raises(ArgumentError, match="a model of at least two categories"):
            SanityRun(searched)
