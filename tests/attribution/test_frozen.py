"""The frozen patch stream equals a plain reading of its definition, and the exact search where both must agree."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import patch

import pytest
import torch
from timm.models.deit import VisionTransformerDistilled
from torch import Tensor, nn

from nplight import METHODS, RULES, PathBatch, open_vit, search
from nplight.attribution import PathScores, clean_pass, frozen_pass, plain_search
from nplight.attribution import frozen as frozen_module
from nplight.errors import ArgumentError, NonFiniteError
from nplight.vit import undisturbed
from tests.attribution.problems import problem
from tests.conftest import Reference, make_vit
from tests.searching.test_search import EXACT, assert_same
from tests.vit.test_parts import BUILDERS
from tests.vit.test_timm_eva import make_eva

CLASS_TOKEN = [name for name in BUILDERS if not any(word in name for word in ("mean", "attention pool", "two heads"))]
OPTIONS = {"steps": 3, "top_k": 2, "ranked": 4}


def oracle(model: nn.Module, images: Tensor, targets: Tensor, **options: object) -> PathBatch:
    with undisturbed(model):
        return plain_search(open_vit(model), images, targets, patch_stream="frozen", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CLASS_TOKEN)
def test_it_equals_a_forward_pass_whose_other_tokens_are_put_back(name: str, targets: Tensor) -> None:
    model = BUILDERS[name]()
    channels, height, width = open_vit(model).image_shape()
    size = (4, channels, height or 8, width or (12 if name.startswith("Eva,") else 8))
    images = torch.randn(size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = oracle(model, images, targets, **OPTIONS)
    for chunk_size in (1, 7, None):
        assert_same(search(model, images, targets, patch_stream="frozen", chunk_size=chunk_size, **OPTIONS), expected)


def test_every_class_token_family_is_among_these() -> None:
    assert len(CLASS_TOKEN) == 28
    for name in BUILDERS.keys() - set(CLASS_TOKEN):
        with pytest.raises(ArgumentError, match="`patch_stream` must be 'exact'"):
            frozen_pass(open_vit(BUILDERS[name]()), torch.zeros(1, 3, 8, 8, dtype=torch.float64))


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_and_a_trained_model(reference: Reference, rule: str) -> None:
    some = slice(0, 80, 20)
    images, labels = reference.images[some], reference.labels[some]
    actual = search(reference.model, images, labels, steps=5, rule=rule, patch_stream="frozen", ranked=9)
    assert_same(actual, oracle(reference.model, images, labels, steps=5, rule=rule, ranked=9))
    # An approximation, but of the exact search of the same images.
    exact = search(reference.model, images, labels, steps=5, rule=rule, ranked=9)
    torch.testing.assert_close(actual.probability, exact.probability, **EXACT)
    assert not torch.allclose(actual.scores, exact.scores, rtol=1e-6)
    assert (actual.neurons == exact.neurons).double().mean() > 0.7


@pytest.mark.parametrize("depth", [1, 2])
def test_two_blocks_leave_nothing_to_freeze(images: Tensor, targets: Tensor, depth: int) -> None:
    """The other tokens see an edit of block 0 in block 1, and nobody reads them after."""
    model = make_vit(depth=depth)
    assert_same(
        search(model, images, targets, patch_stream="frozen", **OPTIONS), search(model, images, targets, **OPTIONS)
    )


def test_an_image_does_not_depend_on_its_batch(images: Tensor, targets: Tensor) -> None:
    model = make_vit(reg_tokens=2)
    whole = search(model, images, targets, patch_stream="frozen", **OPTIONS)
    alone = [search(model, images[[one]], targets[[one]], patch_stream="frozen", **OPTIONS) for one in range(4)]
    assert_same(PathBatch.cat(alone), whole)
    assert not torch.equal(whole.scores, search(model, images, targets, **OPTIONS).scores)


def test_the_clean_pass_is_the_clean_pass(images: Tensor) -> None:
    vit = open_vit(make_vit(init_values=0.5))
    with undisturbed(vit.model):
        plain, actual = clean_pass(vit, images), frozen_pass(vit, images)
    torch.testing.assert_close(actual.logits, plain.logits, **EXACT)
    torch.testing.assert_close(actual.first, plain.first[:, :1], **EXACT)
    for layer, value in plain.values.items():
        torch.testing.assert_close(actual.values[layer], value, **EXACT)
        for kept in actual.frozen[layer]:
            assert kept.shape == (4, 2, 5, 8)
            assert kept.is_contiguous()
            assert (kept[:, :, 0] == 0).all()
            assert (kept[:, :, 1:] != 0).all()


@pytest.mark.parametrize(("at_once", "pieces"), [(1, 4), (2, 2), (3, 2), (4, 1)])
def test_the_clean_pass_runs_in_even_pieces(images: Tensor, at_once: int, pieces: int) -> None:
    vit = open_vit(make_vit())
    with undisturbed(vit.model):
        whole = frozen_pass(vit, images)
        through = patch.object(frozen_module, "_through", wraps=frozen_module._through)
        with patch.object(frozen_module, "_CPU_TOKENS", at_once * 5), through as run:
            actual = frozen_pass(vit, images)
    assert run.call_count == pieces
    for one, other in ((actual.first, whole.first), (actual.logits, whole.logits)):
        torch.testing.assert_close(one, other, **EXACT)
    for layer in range(vit.depth):
        torch.testing.assert_close(actual.values[layer], whole.values[layer], **EXACT)
        for one, other in zip(actual.frozen[layer], whole.frozen[layer]):
            torch.testing.assert_close(one, other, **EXACT)


def test_over_a_frozen_pass_the_method_is_the_frozen_search(images: Tensor, targets: Tensor) -> None:
    vit = open_vit(make_vit())
    with undisturbed(vit.model):
        actual = METHODS["jas"].run(problem(vit, frozen_pass(vit, images), targets, **OPTIONS))
    assert isinstance(actual, PathScores)
    torch.testing.assert_close(actual.scores, oracle(vit.model, images, targets, **OPTIONS).scores, **EXACT)


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if not method.frozen])
def test_methods_that_freeze_nothing_refuse_it(images: Tensor, method: str) -> None:
    with pytest.raises(ArgumentError, match=f"`patch_stream` must be 'exact' for method '{method}', got 'frozen'"):
        search(make_vit(), images, method=method, patch_stream="frozen")


def _hooked() -> nn.Module:
    model = make_vit()
    model.blocks[1].attn.register_forward_hook(lambda *_: None)
    return model


def _hooked_head() -> nn.Module:
    model = make_vit()
    model.norm.register_forward_hook(lambda *_: None)
    return model


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "patch tokens averaged": (lambda: make_vit(global_pool="avg"), "a VisionTransformer that classifies from other"),
    "two heads": (lambda: make_vit(VisionTransformerDistilled), "a VisionTransformerDistilled that classifies from"),
    "a mean of Eva's": (lambda: make_eva(global_pool="avg", img_size=8), "an? Eva that classifies from other tokens"),
    "a hook": (_hooked, "a VisionTransformer whose block 1 holds a hook or a module of another kind"),
    "a hook in the head": (_hooked_head, "a .*, or whose head has hooks"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_frozen_is_refused_with_the_way_out(case: str, images: Tensor) -> None:
    make, reason = REFUSED[case]
    with pytest.raises(ArgumentError, match=f"`patch_stream` must be 'exact' for {reason}.*got 'frozen'"):
        search(make(), images, patch_stream="frozen")


def test_images_that_are_not_finite_are_named(images: Tensor) -> None:
    images[2, 0, 1, 1] = torch.inf
    with pytest.raises(NonFiniteError, match="pixels for the images at positions 2 of the batch"):
        search(make_vit(), images, patch_stream="frozen", steps=2)


def test_float32_and_bfloat16_autocast_score_in_float32(images: Tensor) -> None:
    model = make_vit(qk_norm=True)
    exact = search(model, images, steps=4, patch_stream="frozen")
    model.float()
    single = search(model, images.float(), steps=4, patch_stream="frozen")
    with torch.autocast("cpu", torch.bfloat16):
        mixed = search(model, images.float(), steps=4, patch_stream="frozen")
    for actual in (single, mixed):
        assert {actual.scores.dtype, actual.neuron_scores.dtype, actual.probability.dtype} == {torch.float32}
    torch.testing.assert_close(single.scores.double(), exact.scores, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(mixed.probability.double(), exact.probability, rtol=0.1, atol=0.05)
    assert (mixed.scores.double() - exact.scores).abs().max() < 0.1 * exact.scores.abs().max()
