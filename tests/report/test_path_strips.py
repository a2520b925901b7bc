"""The strips against a look at every image."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from nplight import CategoryPaths, PathBatch, category_paths
from nplight.metrics import neuron_frequency
from nplight.report import path_strips as module
from nplight.report.path_strips import RUNNERS_UP, WIDEST, Strips, path_strips, strips_of_paths
from nplight.store import PathTable, RunFolder, read_paths, write_part

CATEGORIES, LAYERS, WIDTH, IMAGES = 3, 4, 6, 60

Made = tuple[Strips, Tensor, Tensor, Tensor]


def stored(folder: Path, top_k: int, *, labelled: bool = True) -> tuple[PathTable, Tensor, Tensor, Tensor]:
    """A table of random paths, and its neurons, scores and categories."""
    draw = torch.Generator().manual_seed(top_k)
    neurons = torch.rand(IMAGES, LAYERS, WIDTH, generator=draw).argsort(-1)[..., :top_k]
    scores = torch.rand(IMAGES, LAYERS, top_k, generator=draw)
    category = torch.arange(IMAGES) % CATEGORIES
    probability = torch.rand(IMAGES, generator=draw)
    total = scores.sum((1, 2))
    batch = PathBatch(neurons, scores, total, category, probability, category, neurons, scores, probability)
    write_part(
        RunFolder(folder),
        batch,
        index=torch.arange(IMAGES),
        files=[f"{number}.png" for number in range(IMAGES)],
        labels=category if labelled else None,
        checksums=list(range(IMAGES)),
        search="jas",
    )
    return read_paths(folder), neurons, scores, category


def made(folder: Path, top_k: int, paths: CategoryPaths | None, **options: bool) -> Made:
    table, neurons, scores, category = stored(folder, top_k, **options)
    counts = neuron_frequency(neurons, category, num_classes=CATEGORIES, width=WIDTH)
    return path_strips(table, counts, paths), neurons, scores, category


@pytest.mark.parametrize("top_k", [1, 2])
@pytest.mark.parametrize("size", [None, 1, 2])
def test_boxes_and_links_are_those_of_every_image(tmp_path: Path, top_k: int, size: int | None) -> None:
    _, neurons, scores, category = stored(tmp_path / "other", top_k)
    paths = None
    if size is not None:
        paths = category_paths(neurons, category, num_classes=CATEGORIES, top_k=size, scores=scores)
    strips, neurons, scores, category = made(tmp_path / "run", top_k, paths)
    assert strips.links is not None
    for label in range(CATEGORIES):
        own = category == label
        for layer in range(LAYERS):
            used = neurons[own, layer].flatten().bincount(minlength=WIDTH)
            path = [] if paths is None else paths.neurons[label, layer].tolist()
            others = [one for one in sorted(range(WIDTH), key=lambda one: (-used[one], one)) if one not in path]
            boxes = strips.neurons[label, layer].tolist()
            assert boxes == path + others[: RUNNERS_UP + (paths is None)]
            assert strips.count[label, layer].tolist() == [used[neuron] for neuron in boxes]
            total = scores[own].double().sum()
            sums = [scores[own, layer][neurons[own, layer] == neuron].double().sum() for neuron in boxes]
            share = [(value / total).item() for value in sums]
            assert strips.share[label, layer].tolist() == pytest.approx(share)
            if layer + 1 < LAYERS:
                for first, neuron in enumerate(boxes):
                    for second, following in enumerate(strips.neurons[label, layer + 1].tolist()):
                        both = (neurons[own, layer] == neuron).any(1) & (neurons[own, layer + 1] == following).any(1)
                        assert strips.links[label, layer, first, second] == both.sum()
    assert strips.images.tolist() == [IMAGES // CATEGORIES] * CATEGORIES


def test_the_size_of_the_batches_makes_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, *_ = made(tmp_path / "whole", 2, None)
    monkeypatch.setattr(module, "_MOST_COMPARED", 1)
    parts, *_ = made(tmp_path / "parts", 2, None)
    assert whole.to_dict() == parts.to_dict()


def test_images_without_a_label_count_for_their_prediction(tmp_path: Path) -> None:
    labelled, *_ = made(tmp_path / "labelled", 1, None)
    unlabelled, *_ = made(tmp_path / "unlabelled", 1, None, labelled=False)
    assert labelled.to_dict() == unlabelled.to_dict()


def test_a_category_without_a_path_has_none(tmp_path: Path) -> None:
    _, neurons, scores, category = stored(tmp_path / "other", 1)
    two = category < 2
    paths = category_paths(neurons[two], category[two], num_classes=2, scores=scores[two])
    strips, *_ = made(tmp_path / "run", 1, paths)
    assert strips.neurons[2, :, 0].tolist() == [-1] * LAYERS
    assert strips.count[2, :, 0].tolist() == [0] * LAYERS
    assert (strips.neurons[2, :, 1:] >= 0).all()
    # The neuron before the first of a layer is not taken for a missing one.
    assert {*strips.neurons[2, :, 1:].flatten().tolist()} <= set(range(WIDTH))


def test_the_widest_links_come_first(tmp_path: Path) -> None:
    strips, *_ = made(tmp_path, 1, None)
    assert strips.links is not None
    links = strips.widest(0, 0)
    assert len(links) <= WIDEST
    counts = [images for *_, images in links]
    assert counts == sorted(strips.links[0, 0].flatten().tolist(), reverse=True)[: len(links)]
    assert all(strips.links[0, 0, first, second] == images for first, second, images in links)


def test_many_neurons_per_layer_have_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_LINKED", 2)
    strips, *_ = made(tmp_path, 1, None)
    assert strips.links is None
    assert strips.widest(0, 0) == []
    assert strips.to_dict()["links"] is None


@pytest.mark.parametrize(("method", "count"), [("frequency", 7), ("mean-score", -1)])
def test_paths_alone_have_the_support_that_is_a_number_of_images(method: str, count: int) -> None:
    neurons = torch.arange(8).reshape(2, 4, 1)
    strips = strips_of_paths(CategoryPaths(neurons, torch.full((2, 4, 1), 7.0), torch.tensor([9, 9]), method))
    assert torch.equal(strips.neurons, neurons)
    assert strips.count.unique().tolist() == [count]
    assert strips.widest(0, 0) == []
