"""Searches that read and edit the neurons of every token."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nplight import METHODS, PathBatch, intervene, joint_score, open_vit, search, shrink
from nplight.attribution import plain_search
from nplight.errors import ArgumentError
from nplight.vit import undisturbed
from tests.conftest import make_vit
from tests.methods.definitions import DEFINITIONS, Plain
from tests.methods.test_table import all_scores
from tests.searching.test_search import EXACT, assert_same
from tests.vit.families import Case
from tests.vit.test_families import SUPPORTED, build, name

OPTIONS: dict[str, Any] = {"steps": 3, "rule": "gauss-legendre"}


def expected_scores(model: torch.nn.Module, images: Tensor, targets: Tensor, method: str, top_k: int) -> Tensor:
    """By the method's definition, with every token as a path token."""
    vit = open_vit(model)
    linears = [down.linear for down in vit.down]
    with torch.no_grad():
        tokens = range(vit.embed(images[:1]).shape[1])
    scores = [
        torch.stack(
            DEFINITIONS[method](Plain(model, linears, image[None], int(target), tokens, top_k=top_k, **OPTIONS))
        )
        for image, target in zip(images, targets)
    ]
    return torch.stack(scores)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_equals_its_definition(images: Tensor, targets: Tensor, method: str) -> None:
    model, top_k = make_vit(), 1 if METHODS[method].measures else 2
    actual = search(model, images[:2], targets[:2], method=method, tokens="all", top_k=top_k, ranked=64, **OPTIONS)
    expected = expected_scores(model, images[:2], targets[:2], method, top_k)
    torch.testing.assert_close(all_scores(actual), expected, **EXACT)
    assert torch.equal(actual.neurons, expected.topk(top_k).indices)
    assert actual.tokens == "all"


@pytest.mark.parametrize("case", SUPPORTED, ids=name)
def test_the_engines_equal_the_oracles_on_every_family(images: Tensor, targets: Tensor, case: Case) -> None:
    model = build(case)
    width = min(open_vit(model).widths)
    with undisturbed(model):
        plain = plain_search(open_vit(model).with_all_tokens(), images[:2], targets[:2], top_k=2, **OPTIONS)
    actual = search(model, images[:2], targets[:2], tokens="all", top_k=2, ranked=width, **OPTIONS)
    assert torch.equal(actual.neurons, plain.neurons)
    for values in ("scores", "effect", "neuron_scores"):
        torch.testing.assert_close(getattr(actual, values), getattr(plain, values), **EXACT)
    torch.testing.assert_close(joint_score(model, images[:2], targets[:2], actual, **OPTIONS), plain.scores, **EXACT)
    gates = search(
        model, images[:1], targets[:1], method="joint_integrated_gradients", tokens="all", ranked=width, **OPTIONS
    )
    expected = expected_scores(model, images[:1], targets[:1], "joint_integrated_gradients", 1)
    torch.testing.assert_close(all_scores(gates), expected, **EXACT)


@pytest.mark.parametrize("case", SUPPORTED, ids=name)
def test_a_path_of_all_tokens_shrinks_the_model_to_what_was_searched(
    images: Tensor, targets: Tensor, case: Case
) -> None:
    model = build(case)
    paths = search(model, images[:1], targets[:1], tokens="all", top_k=3, method="activation")
    with torch.no_grad(), intervene(model, paths, "keep"):
        kept = open_vit(model).forward(images[:1])
    with torch.no_grad():
        small = open_vit(shrink(model, paths)).forward(images[:1])
    torch.testing.assert_close(small, kept, rtol=1e-9, atol=1e-9)


def test_the_effect_is_that_of_a_removal_at_all_tokens(images: Tensor, targets: Tensor) -> None:
    model = make_vit()
    paths = search(model, images, targets, tokens="all", top_k=2, steps=2)
    with torch.no_grad():
        clean = model(images).softmax(1).gather(1, targets[:, None])[:, 0]
        with intervene(model, paths, "remove"):
            removed = model(images).softmax(1).gather(1, targets[:, None])[:, 0]
        with intervene(model, paths.neurons, "remove", tokens="all"):
            again = model(images).softmax(1).gather(1, targets[:, None])[:, 0]
    assert torch.equal(removed, again)
    torch.testing.assert_close(paths.effect, clean - removed, **EXACT)


def test_all_tokens_of_a_model_that_averages_them_are_its_path_tokens(images: Tensor, targets: Tensor) -> None:
    model = make_vit(global_pool="avg", class_token=False)
    every, path = (search(model, images, targets, tokens=tokens, steps=4) for tokens in ("all", "path"))
    assert_same(every, path)
    assert (every.tokens, path.tokens) == ("all", "path")


@pytest.mark.parametrize("method", ["jas", "joint_integrated_gradients"])
def test_an_image_depends_on_no_batch_and_no_chunk(images: Tensor, targets: Tensor, method: str) -> None:
    vit = make_vit()
    options: dict[str, Any] = {"method": method, "steps": 4, "top_k": 2, "ranked": 6, "tokens": "all"}
    whole = search(vit, images, targets, **options)
    assert_same(PathBatch.cat([search(vit, images[[one]], targets[[one]], **options) for one in range(4)]), whole)
    for chunk_size in (1, 3, 9):
        assert_same(search(vit, images, targets, chunk_size=chunk_size, **options), whole)


def test_a_tolerance_finds_the_same_paths(images: Tensor, targets: Tensor) -> None:
    model = make_vit()
    few, every = (search(model, images, targets, tokens="all", tolerance=tolerance) for tolerance in (1e-6, 0))
    assert torch.equal(few.neurons, every.neurons)
    torch.testing.assert_close(few.scores, every.scores, rtol=1e-6, atol=1e-9)


def test_a_category_is_searched_at_all_tokens(images: Tensor, targets: Tensor) -> None:
    model, targets = make_vit(), targets[[0]].expand(4)
    joint = search(model, images, targets, tokens="all", granularity="category", steps=4)
    alone = search(model, images[:1], targets[:1], tokens="all", granularity="category", steps=4)
    single = search(model, images[:1], targets[:1], tokens="all", steps=4)
    assert joint.tokens == "all"
    assert len(joint.neurons.unique(dim=0)) == 1
    assert torch.equal(alone.neurons, single.neurons)


def test_a_frozen_patch_stream_and_other_tokens_are_refused(images: Tensor) -> None:
    with pytest.raises(ArgumentError, match="`patch_stream` must be 'exact' for `tokens` 'all'"):
        search(make_vit(), images, tokens="all", patch_stream="frozen")
    with pytest.raises(ArgumentError, match="`tokens` must be one of 'path', 'all'"):
        search(make_vit(), images, tokens="class")  # type: ignore[arg-type]
