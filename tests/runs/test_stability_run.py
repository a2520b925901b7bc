from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import nplight
from nplight.data import ImageBatch, PixelScale, perturbed
from nplight.errors import ArgumentError, RunFolderError
from nplight.runs import SearchRun, SearchSettings, StabilityRun, StabilitySettings
from nplight.seeds import checksums
from nplight.store import RunFolder
from tests.runs.conftest import METHODS, Halves

SCALE = PixelScale((0.5,) * 3, (0.5,) * 3)
SETTINGS = StabilitySettings(("noise",), images=12)


def measure(
    halves: Halves, folder: Path, settings: StabilitySettings = SETTINGS, target: Any = "label"
) -> dict[str, Any]:
    search_settings = SearchSettings.of(["jas", "random"], steps=2, top_k=2, kept=(1, 4), target=target)
    with SearchRun(halves.vit, RunFolder(folder), search_settings) as searched:
        run = StabilityRun(searched, SCALE, settings)
        for batch in halves.batches(0):
            searched.update(batch)
            run.update(batch)
        result = run.conclude()
    assert result == json.loads((folder / "stability.json").read_text())
    return result


def share(first: Tensor, second: Tensor) -> float:
    return float(np.mean([len(set(a.tolist()) & set(b.tolist())) / 2 for a, b in zip(first, second)]))


@pytest.mark.parametrize("target", ["label", "prediction"])
def test_every_share_is_that_of_searches_one_image_at_a_time(halves: Halves, tmp_path: Path, target: str) -> None:
    result = measure(halves, tmp_path, target=target)
    table = nplight.read_paths(tmp_path).where(search="jas")
    stored = dict(zip(table["index"].tolist(), table["neurons"]))
    targets = dict(zip(table["index"].tolist(), table["target"].tolist()))
    reference = halves.reference
    per_label: dict[int, list[int]] = {}
    for index in range(0, 80, 2):
        per_label.setdefault(int(reference.labels[index]), []).append(index)
    assert result["images"] == 12
    chosen = chosen_images(halves)
    assert sorted(len([i for i in chosen if i in of_label]) for of_label in per_label.values()) == [1] * 8 + [2] * 2
    kept, same = [], []
    for index in chosen:
        image = reference.images[index : index + 1]
        after = perturbed(image, "noise", 3, scale=SCALE, checksums=checksums(image))
        path = nplight.search(reference.model, after, torch.tensor([targets[index]]), steps=2, top_k=2, ranked=4)
        kept.append(share(path.neurons[0], stored[index]))
        same.append(
            int(path.predictions) == int(nplight.search(reference.model, image, method="activation").predictions)
        )
    of_search = result["searches"]["jas"]
    assert of_search["kept"]["noise"][2]["value"] == pytest.approx(np.mean(kept), abs=1e-6)
    assert result["prediction_unchanged"]["noise"][2]["value"] == pytest.approx(np.mean(same), abs=1e-6)
    others = [
        share(stored[first], stored[second])
        for first, second in combinations(chosen, 2)
        if reference.labels[first] != reference.labels[second]
    ]
    assert of_search["other_category"]["value"] == pytest.approx(np.mean(others), abs=1e-6)
    assert result["random"] == pytest.approx(np.mean([2 / width for width in halves.vit.widths]))


def chosen_images(halves: Halves) -> list[int]:
    from nplight.data import ImageSample

    sample = ImageSample(12)
    for batch in halves.batches(0):
        sample.update(batch.images, batch.labels, batch.index, checksums(batch.images))
    return sample.share().index.tolist()


def test_random_paths_survive_no_perturbation_and_jas_survives_more(halves: Halves, tmp_path: Path) -> None:
    result = measure(halves, tmp_path)
    jas, random = result["searches"]["jas"]["overall"], result["searches"]["random"]["overall"]
    assert jas["low"] > random["high"]
    assert random["value"] < 0.1
    for search in result["searches"].values():
        for estimate in [*search["kept"]["noise"], search["same_category"], search["overall"]]:
            assert estimate["low"] < estimate["high"]


def test_a_finished_result_is_not_measured_again_and_a_damaged_one_is(
    halves: Halves, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = measure(halves, tmp_path)
    content = (tmp_path / "stability.json").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(StabilityRun, "measure", None)
        assert measure(halves, tmp_path) == first
    (tmp_path / "stability.json").write_text("{")
    measure(halves, tmp_path)
    assert (tmp_path / "stability.json").read_bytes() == content
    with pytest.raises(RunFolderError, match="images: 12 there, 11 now"):
        measure(halves, tmp_path, StabilitySettings(("noise",), images=11))
    assert (tmp_path / "stability.json").read_bytes() == content


def test_batches_and_their_order_do_not_matter(halves: Halves, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = measure(halves, tmp_path / "one")
    monkeypatch.setattr("nplight.runs.sampled_run.BATCH", 5)
    batches = list(halves.batches(0))

    def reversed_batches(part: int) -> list[ImageBatch]:
        return [batch.select(torch.arange(len(batch)).flip(0)) for batch in reversed(batches)]

    monkeypatch.setattr(halves, "batches", reversed_batches)
    assert measure(halves, tmp_path / "two") == expected


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"perturbations": ("noise", "fog")}, "`perturbations` must be one of 'noise', 'blur'"),
        ({"perturbations": ()}, r"`perturbations` must be a list of distinct names, got \(\)"),
        ({"perturbations": "noise"}, "`perturbations` must be a list of distinct names, got 'noise'"),
        ({"perturbations": ("noise", "noise")}, "`perturbations` must be a list of distinct names"),
        ({"images": 0}, "`images` must be an integer of at least 1, got 0"),
        ({"seed": -1}, "`seed` must be an integer of at least 0, got -1"),
    ],
)
def test_bad_settings_are_refused(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason):
        StabilitySettings(**arguments)


def test_searches_that_cannot_be_measured_are_refused(halves: Halves, tmp_path: Path) -> None:
    def searched(folder: str, methods: list[Any]) -> SearchRun:
        settings = SearchSettings.of(methods, steps=2)
        return SearchRun(halves.vit, RunFolder(tmp_path / folder), settings, halves.context)

    reason = r"`methods` must have a search with granularity 'image'.* got jointly"
    with searched("joint", [METHODS[1]]) as joint, pytest.raises(ArgumentError, match=reason):
        StabilityRun(joint, SCALE)
    with searched("both", METHODS) as both:
        for wrong in (["jointly"], ["other"], [], "jas"):
            with pytest.raises(ArgumentError, match="`searches` must be names among jas, the searches with"):
                StabilityRun(both, SCALE, StabilitySettings(searches=wrong))
        assert list(StabilityRun(both, SCALE).searches) == ["jas"]


def test_images_are_needed_and_so_are_their_labels(halves: Halves, tmp_path: Path) -> None:
    with SearchRun(halves.vit, RunFolder(tmp_path), SearchSettings.of(["activation"])) as searched:
        run = StabilityRun(searched, SCALE, SETTINGS)
        with pytest.raises(ArgumentError, match="must have labels, to measure the stability of paths with"):
            run.update(ImageBatch(halves.reference.images[:1]))
        for batch in halves.batches(0):
            searched.update(batch)
        with pytest.raises(ArgumentError, match="the stability of paths must be given images to measure"):
            run.conclude()
