from __future__ import annotations

import ast
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import METHODS, PathBatch, joint_score, open_vit, search
from nplight.methods import Method, is_control, is_proposed
from tests.conftest import make_vit
from tests.methods.definitions import DEFINITIONS, Plain
from tests.searching.test_search import EXACT, assert_same
from tests.vit.families import Case
from tests.vit.test_families import SUPPORTED, build, name

OTHERS = [method for method in METHODS if method != "jas"]
POOLS = ["token", "avg"]
ROOT = Path(__file__).parents[2]


def all_scores(paths: PathBatch) -> Tensor:
    """Of a search that ranked every neuron: (images, layers, width), by neuron."""
    return torch.zeros_like(paths.ranking_scores).scatter(2, paths.ranking, paths.ranking_scores)


def test_every_method_has_a_definition() -> None:
    """The tests below are of the definitions: a method without one would not be tested."""
    assert list(DEFINITIONS) == list(METHODS)


def test_what_is_special_about_a_method_stands_in_its_row() -> None:
    names = [field.name for field in fields(Method) if field.name != "run"]
    special = {method: [name for name in names if getattr(row, name)] for method, row in METHODS.items()}
    assert {method: names for method, names in special.items() if names} == {
        "jas": ["frozen", "joint", "proposed"],
        "joint_integrated_gradients": ["frozen", "joint"],
        "joint_integrated_gradients_held": ["frozen", "joint"],
        "joint_positive_gradients": ["frozen", "joint"],
        "influence_pattern": ["one_line"],
        "influence_pattern_chain": ["one_line"],
        "greedy_removal": ["frozen", "measures"],
        "random": ["seeded", "control"],
    }
    assert [name for name in (*METHODS, "of another name") if is_control(name)] == ["random"]
    assert [name for name in (*METHODS, "of another name") if is_proposed(name)] == ["jas"]


def test_no_name_of_a_method_is_compared_with_elsewhere() -> None:
    """What a method needs done differently is a field of its row."""
    compared, names = [], list(METHODS)
    for path in sorted([*ROOT.glob("nplight/**/*.py"), *ROOT.glob("callbacks/*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                values = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
                compared += [f"{path.name}:{node.lineno}: {value}" for value in values if value in names]
    assert compared == []


@pytest.mark.parametrize("case", SUPPORTED, ids=name)
@pytest.mark.parametrize("method", DEFINITIONS)
def test_a_method_equals_its_definition_on_every_family(
    images: Tensor, targets: Tensor, method: str, case: Case
) -> None:
    model = build(case)
    linears = [down.linear for down in open_vit(model).down]
    images, targets = images[:2], targets[:2]
    # What is measured of a neuron depends on those removed before it, so that of several the order is not of scores.
    top_k = 1 if METHODS[method].measures else 2
    options: dict[str, Any] = {"steps": 3, "rule": "gauss-legendre", "top_k": top_k}
    actual = search(model, images, targets, method=method, ranked=linears[0].in_features, **options)
    expected = torch.stack(
        [
            torch.stack(DEFINITIONS[method](Plain(model, linears, image[None], int(target), case.tokens, **options)))
            for image, target in zip(images, targets)
        ]
    )
    torch.testing.assert_close(all_scores(actual), expected, **EXACT)
    assert torch.equal(actual.neurons, expected.topk(top_k).indices)
    expected = joint_score(model, images, targets, actual.neurons, steps=3, rule="gauss-legendre")
    torch.testing.assert_close(actual.scores, expected, **EXACT)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("method", OTHERS)
def test_an_image_depends_on_no_batch_and_no_chunk(images: Tensor, targets: Tensor, method: str, pool: str) -> None:
    vit = make_vit(global_pool=pool)
    options: dict[str, Any] = {"method": method, "steps": 4, "top_k": 2, "ranked": 6}
    whole = search(vit, images, targets, **options)
    alone = [search(vit, images[[one]], targets[[one]], **options) for one in range(4)]
    assert_same(PathBatch.cat(alone), whole)
    for chunk_size in (1, 3, 9):
        assert_same(search(vit, images, targets, chunk_size=chunk_size, **options), whole)


@pytest.mark.parametrize("pool", POOLS)
def test_one_block_is_enough(images: Tensor, targets: Tensor, pool: str) -> None:
    vit = make_vit(global_pool=pool, depth=1)
    actual = {method: search(vit, images, targets, method=method, steps=3, ranked=64) for method in OTHERS}
    assert {result.ranking.shape for result in actual.values()} == {(4, 1, 64)}
    chain, pattern = actual["influence_pattern_chain"], actual["influence_pattern"]
    torch.testing.assert_close(all_scores(chain), all_scores(pattern), **EXACT)
    if pool == "token":
        product = all_scores(actual["gradient_activation"]).abs()
        torch.testing.assert_close(all_scores(actual["cross_layer"]), product, **EXACT)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("method", [method for method in METHODS if method not in ("activation", "random")])
def test_equal_scores_go_to_the_lower_index(images: Tensor, method: str, pool: str) -> None:
    vit = make_vit(global_pool=pool)
    with torch.no_grad():
        for block in vit.blocks:
            block.mlp.fc2.weight.zero_()  # no neuron matters
    actual = search(vit, images, method=method, top_k=2, ranked=4, steps=3)
    assert actual.ranking.tolist() == [[[0, 1, 2, 3]] * 3] * 4
    assert actual.ranking_scores.abs().sum() == 0
    assert actual.scores.tolist() == [0] * 4


# These score a neuron by what would follow from it, not by what it is.
BLIND_TO_ZEROS = ("influence_pattern", "influence_pattern_chain", "random")


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("method", METHODS)
def test_activations_that_are_all_zero_are_defined(images: Tensor, method: str, pool: str) -> None:
    vit = make_vit(global_pool=pool)
    with torch.no_grad():
        for block in vit.blocks:
            block.mlp.fc1.weight.zero_()
            block.mlp.fc1.bias.zero_()
    actual = search(vit, images, method=method, top_k=2, ranked=64, steps=3)
    lowest_first = torch.arange(64).expand(4, 3, 64)
    assert torch.equal(actual.ranking.sort().values, lowest_first)
    assert actual.ranking_scores.isfinite().all()
    assert actual.scores.tolist() == [0] * 4
    if method not in BLIND_TO_ZEROS:
        assert torch.equal(actual.ranking, lowest_first)
        assert actual.ranking_scores.abs().sum() == 0
    if method == "influence_pattern_chain":  # nothing flows from neuron to neuron
        assert torch.equal(actual.ranking[:, 1:], lowest_first[:, 1:])
        assert (actual.ranking_scores[:, 0, 0] > 0).all()


@pytest.mark.parametrize("method", OTHERS)
def test_every_method_works_in_inference_mode_and_leaves_the_model_as_it_was(
    vit: VisionTransformer, images: Tensor, targets: Tensor, method: str
) -> None:
    expected = search(vit, images, targets, method=method, steps=3)
    vit.train()
    before = images.clone()
    with torch.inference_mode():
        actual = search(vit, images.clone(), targets.clone(), method=method, steps=3)
    assert_same(actual, expected)
    assert torch.equal(images, before)
    assert not any(tensor.requires_grad for tensor in (actual.scores, actual.neuron_scores, actual.ranking_scores))
    assert all(module.training for module in vit.modules())
    assert all(weight.requires_grad and weight.grad is None for weight in vit.parameters())
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in vit.modules())


@pytest.mark.parametrize("method", OTHERS)
def test_half_precision_scores_in_float32(vit: VisionTransformer, images: Tensor, method: str) -> None:
    targets = torch.tensor([0, 3, 4, 3])
    exact = all_scores(search(vit, images, targets, method=method, steps=4, ranked=64))
    vit.float()
    single = search(vit, images.float(), targets, method=method, steps=4, ranked=64)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = search(vit, images.float(), targets, method=method, steps=4, ranked=64)
    for actual, tolerance in ((single, 1e-4), (mixed, 0.1)):
        assert {actual.scores.dtype, actual.neuron_scores.dtype, actual.ranking_scores.dtype} == {torch.float32}
        error = (all_scores(actual) - exact).norm() / exact.norm()
        assert error < tolerance


def test_a_bfloat16_model_is_searched(vit: VisionTransformer, images: Tensor) -> None:
    vit.bfloat16()
    for method in OTHERS:
        actual = search(vit, images.bfloat16(), method=method, steps=3)
        assert actual.neuron_scores.dtype == torch.float32


def test_the_rows_in_flight_stay_within_the_chunk(vit: VisionTransformer, images: Tensor) -> None:
    largest = 0

    def count(module: object, arguments: tuple[Tensor, ...]) -> None:
        nonlocal largest
        if torch.is_grad_enabled():
            largest = max(largest, len(arguments[0]))

    vit.blocks[2].register_forward_pre_hook(count)
    for method in OTHERS:
        for chunk_size in (1, 3, 5, 11):
            largest = 0
            search(vit, images, method=method, steps=5, chunk_size=chunk_size)
            assert 0 < largest <= chunk_size, method
