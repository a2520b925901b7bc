"""`nplight.search` over loaders and data sets: what it finds in their images put together."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import rich
import torch
from rich.console import Console
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
)

from nplight import search
from nplight.errors import ArgumentError, NonFiniteError
from tests.searching.test_search import assert_same

LABELS = torch.tensor([0, 3, 4, 3, 1, 2, 0])


@pytest.fixture
def images() -> Tensor:
    return torch.randn(7, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Mappings(Dataset[Any]):
    """What Hugging Face's data sets give."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"pixel_values": self.images[index], "label": int(LABELS[index])}


class Stream(IterableDataset[Any]):
    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __iter__(self) -> Iterator[Any]:
        return iter(zip(self.images, LABELS))


def test_a_loader_gives_what_its_images_give_together(vit: VisionTransformer, images: Tensor) -> None:
    data = TensorDataset(images, LABELS)
    options = {"steps": 2, "top_k": 2, "ranked": 3}
    expected = search(vit, images, LABELS, **options)
    in_order = BatchSampler(SequentialSampler(data), 4, drop_last=False)
    for given in (
        DataLoader(data, 3),
        DataLoader(data, batch_sampler=in_order),
        DataLoader(Stream(images), 2),
        DataLoader(Mappings(images), 7, drop_last=True),
        data,
        Mappings(images),
        Stream(images),
        [(images[:2], LABELS[:2]), [images[2:], LABELS[2:], torch.arange(5)]],
        ({"image": one.unsqueeze(0), "label": [label]} for one, label in zip(images, LABELS.tolist())),
    ):
        assert_same(search(vit, given, "label", **options), expected)
    predicted = search(vit, images, **options)
    for targets in (None, "prediction"):
        assert_same(search(vit, data, targets, **options), predicted)
        assert_same(search(vit, images, targets, **options), predicted)
    assert_same(search(vit, [images[:4], images[4:]], LABELS, **options), expected)
    by_method = {"method": "random", "seed": 3, "steps": 2}
    assert_same(search(vit, data, **by_method), search(vit, images, **by_method))


class Shuffled(SequentialSampler):
    """A sampler that torch does not know as a random one."""

    shuffle = 1


def test_a_loader_that_shuffles_or_drops_images_is_refused(vit: VisionTransformer, images: Tensor) -> None:
    data = TensorDataset(images)
    for loader in (
        DataLoader(data, shuffle=True),
        DataLoader(data, batch_sampler=BatchSampler(RandomSampler(data), 2, drop_last=False)),
        DataLoader(data, sampler=DistributedSampler(data, 1, 0)),
        DataLoader(data, sampler=Shuffled(data)),
    ):
        with pytest.raises(ArgumentError, match=r"in the order of the data, got one that shuffles.*with shuffle=False"):
            search(vit, loader)
    for loader in (DataLoader(data, 3, drop_last=True), DataLoader(Stream(images), 3, drop_last=True)):
        with pytest.raises(ArgumentError, match="that gives every image, got one with drop_last=True"):
            search(vit, loader)


class Pictures(Mappings):
    def __getitem__(self, index: int) -> Any:
        return object()


@pytest.mark.parametrize(
    ("data", "options", "reason"),
    [
        (lambda images: [], {}, "`images` must hold at least one image, got a loader without any"),
        (lambda images: [images], {"targets": "label"}, "where the batches have no labels, got 'label'"),
        (lambda images: images, {"targets": "label"}, "is for a loader that gives labels, got a tensor of images"),
        (lambda images: images, {"targets": "guess"}, "`targets` must be one of 'label', 'prediction', got 'guess'"),
        (lambda images: [images], {"targets": "guess"}, "`targets` must be one of 'label', 'prediction', got 'guess'"),
        (lambda images: [images], {"targets": LABELS[:6]}, r"for each of the 7 images, got shape \(6,\)"),
        (lambda images: [images[:5]], {"targets": LABELS}, r"for each of the 5 images, got shape \(7,\)"),
        (lambda images: TensorDataset(images), {"targets": LABELS[:6]}, r"for each of the 7 images, got shape \(6,\)"),
        (lambda images: [images], {"granularity": "category"}, "must be 'image' over a loader, got 'category'"),
        (lambda images: images.numpy(), {}, "a DataLoader or data set of them, got a ndarray"),
        (lambda images: {"image": images}, {}, "a DataLoader or data set of them, got a dict"),
        (lambda images: "images", {}, "a DataLoader or data set of them, got 'images'"),
        (lambda images: 3, {}, "a DataLoader or data set of them, got 3"),
        (lambda images: [np.zeros(3)], {}, "the batch must be a mapping with .*, got ndarray"),
        (lambda images: [images.float()], {}, "`images` must have the model's dtype torch.float64, got torch.float32"),
        (lambda images: [images.to("meta")], {}, "`images` must be a dense tensor"),
        (Pictures, {}, "must give images that are tensors of one shape, got a object: .*; give it a transform"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_refused(
    vit: VisionTransformer, images: Tensor, data: Any, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ArgumentError, match=reason):
        search(vit, data(images), steps=1, **options)


def test_images_that_are_not_finite_are_named_by_their_place_in_the_data(
    vit: VisionTransformer, images: Tensor
) -> None:
    images[5, 0, 2, 2] = torch.nan
    with pytest.raises(NonFiniteError, match="for the images at positions 5 of the data") as caught:
        search(vit, DataLoader(TensorDataset(images), 4), steps=1)
    assert caught.value.positions == (5,)


def test_one_batch_is_held_at_a_time(vit: VisionTransformer, images: Tensor) -> None:
    alive: list[weakref.ref[Tensor]] = []

    def batches() -> Iterator[Tensor]:
        for image in images:
            gc.collect()
            assert sum(one() is not None for one in alive) <= 1  # the loop's own, that of the batch before
            batch = image.unsqueeze(0).clone()
            alive.append(weakref.ref(batch))
            yield batch

    actual = search(vit, batches(), steps=1)
    assert len(actual) == len(alive) == 7


def test_a_bar_counts_the_images_where_somebody_watches(
    vit: VisionTransformer, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown(terminal: bool, progress: bool | None) -> str:
        console = Console(force_terminal=terminal, force_jupyter=False, width=80)
        monkeypatch.setattr(rich, "get_console", lambda: console)
        with console.capture() as captured:
            search(vit, DataLoader(TensorDataset(images), 3), steps=1, progress=progress)
        return captured.get()

    assert "7/7" in shown(True, None)
    assert "7/7" in shown(False, True)
    assert shown(False, None) == ""
    assert shown(True, False) == ""
