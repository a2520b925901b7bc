from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import intervene, open_vit, record, references
from nplight.errors import ArgumentError
from nplight.neurons.donor_images import DonorImages, DonorReferences
from tests.by_hand import forward_by_hand
from tests.conftest import make_vit


@pytest.fixture
def many() -> Tensor:
    return torch.randn(30, 3, 8, 8, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


def pool(model: VisionTransformer, batches: list[Tensor], **options: int) -> DonorReferences:
    step = DonorImages(open_vit(model), **options)
    for images in batches:
        step.update(images)
    return step.finish()


def test_the_pool_is_the_same_for_every_batch_and_order(vit: VisionTransformer, many: Tensor) -> None:
    whole = pool(vit, [many], size=8)
    assert len(set(whole.keys)) == 8
    assert all(any(torch.equal(donor, image) for image in many) for donor in whole.images)
    for batches in (many.split(4), many.flip(0).split(7), [many, many[:9]]):
        other = pool(vit, list(batches), size=8)
        assert other.keys == whole.keys
        assert torch.equal(other.images, whole.images)
    assert pool(vit, [many], size=8, seed=1).keys != whole.keys


def test_the_best_of_the_whole_are_the_best_of_their_parts(vit: VisionTransformer, many: Tensor) -> None:
    best = pool(vit, [many], size=5)
    for part in many.split(10):
        here = set(pool(vit, [part], size=30).keys)
        assert set(best.keys) & here <= set(pool(vit, [part], size=5).keys)
    assert pool(vit, [many], size=30).keys[:5] == best.keys
    assert len(pool(vit, [many], size=64).keys) == 30


def test_no_image_is_its_own_donor_and_all_donors_serve(vit: VisionTransformer, many: Tensor) -> None:
    actual = references(vit, [many], "resample")
    assert isinstance(actual, DonorReferences)
    donors = actual.images[actual.donors(many)]
    assert not (donors == many).flatten(1).all(1).any()
    assert len(actual.donors(many).unique()) > 12  # of 30; 30 (1 - 1/e) = 19 expected
    for image in range(30):  # whatever the batch
        assert torch.equal(actual.images[actual.donors(many[image : image + 1])[0]], donors[image])
    other = references(vit, [many], "resample", seed=1)
    assert isinstance(other, DonorReferences)
    assert not torch.equal(other.images[other.donors(many)], donors)


@pytest.mark.parametrize("tokens", ["path", "all"])
def test_resampling_writes_the_values_of_the_donor(vit: VisionTransformer, many: Tensor, tokens: str) -> None:
    neurons = torch.tensor([[1, 5], [60, 2], [7, 8]])
    images = many[:4]
    actual = references(vit, many.split(8), "resample", tokens=tokens)
    assert isinstance(actual, DonorReferences)
    with torch.no_grad(), record(vit, tokens="all") as values:
        vit(actual.images[actual.donors(images)])

    def edit(layer: int, clean: Tensor) -> Tensor:
        edited = values[layer].clone()
        edited[..., neurons[layer]] = clean[..., neurons[layer]]
        return edited if tokens == "all" else torch.cat([edited[:, :1], clean[:, 1:]], dim=1)

    given = actual.of(images)
    with torch.no_grad(), intervene(vit, neurons, "keep", fill="resample", references=given, tokens=tokens):
        edited = vit(images)
    with torch.no_grad():
        torch.testing.assert_close(edited, forward_by_hand(vit, images, edit))


def test_an_image_alone_has_no_donor(vit: VisionTransformer, many: Tensor) -> None:
    alone = references(vit, [many[:1], many[:1]], "resample")
    with pytest.raises(ArgumentError, match=r"a donor other than the image itself.* from more images"):
        alone.of(many[:1])
    with torch.no_grad(), record(vit) as values:
        vit(many[:1].expand(2, -1, -1, -1))
    assert torch.equal(alone.of(many[1:3])[2], values[2])


def test_what_resampling_lacks_is_said(vit: VisionTransformer, many: Tensor) -> None:
    with pytest.raises(ArgumentError, match="`size` must be an integer of at least 1, got 0"):
        DonorImages(open_vit(vit), size=0)
    actual = references(vit, [many], "resample")
    with pytest.raises(ArgumentError, match=r"give references=references.of\(images\)"):
        intervene(vit, torch.zeros(3, 1, dtype=torch.int64), "keep", fill="resample", references=actual)
    free = make_vit(dynamic_img_size=True)
    with pytest.raises(ArgumentError, match=r"all of one shape, got shapes \[\[3, 8, 8\], \[3, 8, 12\]\]"):
        references(free, [many, torch.cat([many, many], dim=3)[..., :12]], "resample")
