from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import RULES, open_vit, search
from nplight.attribution import clean_pass, layer_scores
from nplight.vit import undisturbed
from tests.attribution.problems import problem
from tests.conftest import Reference, make_vit
from tests.methods.definitions import Plain, layer_jas
from tests.methods.test_table import all_scores
from tests.searching.test_search import EXACT, oracle
from tests.vit.families import Case
from tests.vit.test_families import SUPPORTED, build, name
from tests.vit.test_open_vit import VARIANTS


def scores_after(
    model: torch.nn.Module,
    images: Tensor,
    targets: Tensor,
    prefix: Tensor,
    *,
    steps: int = 4,
    rule: str = "riemann-left",
    chunk_size: int = 7,
) -> Tensor:
    vit = open_vit(model)
    with undisturbed(model):
        clean = clean_pass(vit, images)
        actual = layer_scores(problem(vit, clean, targets, steps=steps, rule=rule, chunk_size=chunk_size), prefix)
    assert not actual.requires_grad
    return actual


@pytest.mark.parametrize("variant", [*VARIANTS, "one block"])
def test_after_its_own_path_they_are_the_rows_of_the_oracle(images: Tensor, targets: Tensor, variant: str) -> None:
    vit = make_vit(**VARIANTS.get(variant, {"depth": 1}))
    expected = oracle(vit, images, targets, steps=4, top_k=2, ranked=64)
    for layer in range(len(vit.blocks)):
        for chunk_size in (1, 7, 100):
            actual = scores_after(vit, images, targets, expected.neurons[:, :layer], chunk_size=chunk_size)
            torch.testing.assert_close(actual, all_scores(expected)[:, layer], **EXACT)


@pytest.mark.parametrize("rule", RULES)
def test_they_follow_the_rule(vit: VisionTransformer, images: Tensor, targets: Tensor, rule: str) -> None:
    expected = oracle(vit, images, targets, steps=3, rule=rule, ranked=64)
    actual = scores_after(vit, images, targets, expected.neurons[:, :2], steps=3, rule=rule)
    torch.testing.assert_close(actual, all_scores(expected)[:, 2], **EXACT)


@pytest.mark.parametrize("folder", ["reference", "pooled_reference"])
def test_after_the_paths_of_a_trained_model_they_are_the_rows_of_its_search(
    folder: str, request: pytest.FixtureRequest
) -> None:
    reference: Reference = request.getfixturevalue(folder)
    images, labels = reference.images[::16], reference.labels[::16]
    expected = search(reference.model, images, labels, ranked=9, tolerance=0)
    for layer in range(4):
        actual = scores_after(reference.model, images, labels, reference.neurons[::16, :layer], steps=20)
        torch.testing.assert_close(
            actual.sort(descending=True).values[:, :9], expected.ranking_scores[:, layer], **EXACT
        )


@pytest.mark.parametrize("case", SUPPORTED, ids=name)
def test_after_any_path_they_equal_their_definition_on_every_family(
    images: Tensor, targets: Tensor, case: Case
) -> None:
    model = build(case)
    linears = [down.linear for down in open_vit(model).down]
    images, targets = images[:2], targets[:2]
    prefix = torch.tensor([[[5, 0, 9]], [[1, 12, 3]]])
    actual = scores_after(model, images, targets, prefix, steps=3, rule="gauss-legendre", chunk_size=4)
    options = {"steps": 3, "rule": "gauss-legendre"}
    for one in range(2):
        plain = Plain(model, linears, images[[one]], int(targets[one]), case.tokens, **options)
        torch.testing.assert_close(actual[one], layer_jas(plain, [prefix[one, 0]]), **EXACT)


def test_they_are_float32_at_least(vit: VisionTransformer, images: Tensor, targets: Tensor) -> None:
    prefix = torch.tensor([[[5, 0]], [[1, 12]], [[3, 4]], [[7, 6]]])
    exact = scores_after(vit, images, targets, prefix)
    single = scores_after(vit.float(), images.float(), targets, prefix)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = scores_after(vit, images.float(), targets, prefix)
    for actual, tolerance in ((single, 1e-4), (mixed, 0.1)):
        assert actual.dtype == torch.float32
        assert (actual - exact).norm() / exact.norm() < tolerance
