from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import intervene, open_vit, search
from nplight.attribution import plain_search
from nplight.errors import ArgumentError, UnsupportedModelError
from nplight.modules import ViTClassifier
from nplight.pruning import TokenMerging, merge_tokens
from nplight.vit import undisturbed
from tests.conftest import make_vit
from tests.searching.test_search import assert_same
from tests.vit.families import Case
from tests.vit.test_families import SUPPORTED, build, name


def slow_merge(tokens: Tensor, count: int) -> Tensor:
    """One image, (tokens, features), link by link."""
    senders, receivers = list(range(0, len(tokens), 2)), list(range(1, len(tokens), 2))
    links = []
    for sender in senders:
        cosines = [torch.cosine_similarity(tokens[sender], tokens[receiver], dim=0).item() for receiver in receivers]
        links.append((max(cosines), sender, receivers[cosines.index(max(cosines))]))
    merged = sorted(links, reverse=True)[:count]
    kept = [tokens[sender] for sender in senders if sender not in [link[1] for link in merged]]
    groups = [[tokens[receiver], *(tokens[s] for _, s, r in merged if r == receiver)] for receiver in receivers]
    return torch.stack([*kept, *(torch.stack(group).mean(0) for group in groups)])


@pytest.mark.parametrize("count", [0, 1, 3, 4])
@pytest.mark.parametrize("length", [8, 9])
def test_the_most_similar_are_merged_into_their_mean(length: int, count: int) -> None:
    tokens = torch.randn(3, length, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.stack([slow_merge(image, count) for image in tokens])
    torch.testing.assert_close(merge_tokens(tokens, count), expected)
    torch.testing.assert_close(merge_tokens(tokens[1:2], count)[0], expected[1])


def test_the_size_of_a_token_is_the_number_of_those_it_stands_for() -> None:
    tokens = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(1))
    merged = merge_tokens(tokens, 4)
    for image, together in zip(tokens, merged):
        receivers = [torch.cosine_similarity(image[i], image[1::2], dim=1).argmax().item() for i in range(0, 8, 2)]
        sizes = torch.tensor([1.0 + receivers.count(receiver) for receiver in range(4)])
        torch.testing.assert_close((together * sizes[:, None]).sum(0), image.sum(0))


def test_equal_tokens_merge_without_a_change() -> None:
    tokens = torch.randn(2, 4, 5).repeat_interleave(2, dim=1)
    torch.testing.assert_close(merge_tokens(tokens, 4), tokens[:, 1::2])


@pytest.mark.parametrize("case", SUPPORTED, ids=name)
def test_every_family_that_classifies_from_a_class_token_merges(case: Case, images: Tensor) -> None:
    model = build(case)
    vit = open_vit(model)
    before = vit.embed(images)
    if vit.merging_site() is None:
        with pytest.raises(UnsupportedModelError, match="whose tokens cannot be merged before its blocks"):
            TokenMerging(model, 1)
        return
    site = vit.merging_site()
    assert site is not None
    with torch.no_grad(), TokenMerging(model, 2):
        after = vit.embed(images)
        expected = torch.cat([before[:, : site[1]], merge_tokens(before[:, site[1] :], 2)], 1)
        assert torch.equal(after, expected)
        output: Any = model(images)
        torch.testing.assert_close(getattr(output, "logits", output), vit.forward(images), rtol=1e-9, atol=1e-9)
    assert torch.equal(vit.embed(images), before)


def test_class_token_registers_and_distillation_token_are_kept(images: Tensor) -> None:
    vit = make_vit(reg_tokens=2, class_token=True)
    with TokenMerging(vit, 2):
        merged = open_vit(vit).embed(images)
    assert merged.shape[1] == 1 + 2 + 2
    assert torch.equal(merged[:, :3], open_vit(vit).embed(images)[:, :3])


@pytest.mark.parametrize("tokens", ["path", "all"])
def test_a_model_that_merges_is_searched_and_edited(
    vit: VisionTransformer, images: Tensor, targets: Tensor, tokens: Any
) -> None:
    with TokenMerging(vit, 2):
        opened = open_vit(vit).with_all_tokens() if tokens == "all" else open_vit(vit)
        with undisturbed(vit):
            expected = plain_search(opened, images, targets, steps=4)
        actual = search(vit, images, targets, steps=4, tokens=tokens, tolerance=0)
        assert_same(actual, expected)
        assert_same(actual[1], search(vit, images[1:2], targets[1:2], steps=4, tokens=tokens, tolerance=0))
        with torch.no_grad(), intervene(vit, actual, "remove"):
            vit(images)


def test_a_copy_merges_too_and_trains(vit: VisionTransformer, images: Tensor) -> None:
    merging = TokenMerging(vit, 1)
    copied = copy.deepcopy(vit)
    assert torch.equal(copied(images), vit(images))
    copied(images).sum().backward()
    assert all(parameter.grad is not None for parameter in copied.parameters())
    merging.remove()
    merging.remove()
    assert not torch.equal(copied(images), vit(images))
    assert list(copied.state_dict()) == list(vit.state_dict())


def test_a_classifier_merges_in_training_and_evaluation() -> None:
    arguments: dict[str, Any] = {"img_size": 16, "patch_size": 4, "embed_dim": 64, "depth": 6, "num_heads": 4}
    options: dict[str, Any] = {"num_classes": 10, "model_args": arguments, "checkpoint": "bundled:digits"}
    plain, merging = (ViTClassifier("vit_tiny_patch16_224", merge_tokens=count, **options) for count in (0, 4))
    assert [open_vit(one.model).embed(torch.zeros(1, 3, 16, 16)).shape[1] for one in (plain, merging)] == [17, 13]
    assert merging.hparams["merge_tokens"] == 4
    merging.load_state_dict(plain.state_dict())


def test_merging_more_tokens_than_there_are_is_refused(vit: VisionTransformer, images: Tensor) -> None:
    message = "`merge_tokens` must be at most half of the 4 patch tokens of an image, 2, got 3"
    with pytest.raises(ArgumentError, match=message):
        TokenMerging(vit, 3)
    before = vit(images)
    any_size = make_vit(dynamic_img_size=True)
    with TokenMerging(any_size, 3), pytest.raises(ArgumentError, match=message):
        any_size(images)
    assert torch.equal(vit(images), before)
    for count in (0, -1, 1.5, True):
        with pytest.raises(ArgumentError, match="`merge_tokens` must be an integer of at least 1"):
            TokenMerging(vit, count)  # type: ignore[arg-type]
