from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from benchmarks.flops import flops
from nplight import RULES, joint_score, open_vit, search
from nplight.attribution import clean_pass, plain_joint_score, plain_search, progressive_search
from nplight.vit import undisturbed
from tests.attribution.problems import problem
from tests.conftest import Reference, make_vit
from tests.searching.test_search import EXACT, assert_same, oracle
from tests.vit.test_open_vit import VARIANTS


def test_the_search_does_less_than_half_of_what_a_gradient_a_layer_does(images: Tensor, targets: Tensor) -> None:
    vit = open_vit(make_vit(depth=8, num_heads=1, img_size=16))
    images = torch.nn.functional.interpolate(images[:1], size=16)

    def engine() -> None:
        progressive_search(problem(vit, clean_pass(vit, images), targets[:1], steps=4, chunk_size=4))

    with undisturbed(vit.model):
        # Both score the path at the end.
        assert flops(engine) < 0.5 * flops(lambda: plain_search(vit, images, targets[:1], steps=4))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("top_k", [1, 3])
def test_the_engine_equals_the_oracle(
    vit: VisionTransformer, images: Tensor, targets: Tensor, rule: str, top_k: int
) -> None:
    options = {"top_k": top_k, "ranked": 6, "steps": 5, "rule": rule}
    expected = oracle(vit, images, targets, **options)
    for chunk_size in (1, 7, None):
        assert_same(search(vit, images, targets, chunk_size=chunk_size, **options), expected)
    torch.testing.assert_close(
        joint_score(vit, images, targets, expected.neurons, steps=5, rule=rule, chunk_size=7), expected.scores, **EXACT
    )


@pytest.mark.parametrize("top_k", [1, 3])
def test_the_engine_equals_the_oracle_on_a_trained_model(reference: Reference, top_k: int) -> None:
    some = slice(0, 80, 16)
    expected = oracle(reference.model, reference.images[some], reference.labels[some], top_k=top_k, ranked=20)
    actual = search(reference.model, reference.images[some], reference.labels[some], top_k=top_k, ranked=20)
    assert_same(actual, expected)


@pytest.mark.parametrize("variant", [*VARIANTS, "one block"])
def test_the_engine_equals_the_oracle_on_every_variant(images: Tensor, targets: Tensor, variant: str) -> None:
    vit = make_vit(**VARIANTS.get(variant, {"depth": 1}))
    options = {"steps": 4, "top_k": 2, "ranked": 5}
    expected = oracle(vit, images, targets, **options)
    for chunk_size in (3, 9, None):
        assert_same(search(vit, images, targets, chunk_size=chunk_size, **options), expected)
    scores = joint_score(vit, images, targets, expected.neurons, steps=4, chunk_size=3)
    torch.testing.assert_close(scores, expected.scores, **EXACT)


@pytest.mark.parametrize("pool", ["token", "avg"])
def test_scores_are_those_of_the_path_that_was_chosen(images: Tensor, targets: Tensor, pool: str) -> None:
    """Of the first K of each layer, whatever else is ranked."""
    vit = open_vit(make_vit(global_pool=pool))
    with undisturbed(vit.model):
        result = progressive_search(problem(vit, clean_pass(vit, images), targets, top_k=2, ranked=5))
        expected = plain_joint_score(vit, images, targets, result.ranking[..., :2], steps=4)
    torch.testing.assert_close(result.scores, expected, **EXACT)
    assert (result.ranking_scores.diff(dim=-1) <= 0).all()
