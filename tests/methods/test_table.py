from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import METHODS, PathBatch, joint_score, open_vit, search
from nplight.methods.random import random_scores
from tests.conftest import Reference, make_vit, read_reference
from tests.methods.definitions import DEFINITIONS, Plain
from tests.searching.test_search import EXACT, assert_same
from tests.vit.families import Case
from tests.vit.test_families import SUPPORTED, build, name

OTHERS = [method for method in METHODS if method != "jas"]
POOLS = ["token", "avg"]


def all_scores(found: PathBatch) -> Tensor:
    """Of a search that ranked every neuron: (images, layers, width), by neuron."""
    return torch.zeros_like(found.ranking_scores).scatter(2, found.ranking, found.ranking_scores)


@pytest.mark.parametrize("folder", ["class_token", "patch_mean"])
def test_the_activation_paths_of_the_published_program_are_reproduced(folder: str) -> None:
    reference = read_reference(folder)
    found = search(reference.model, reference.images, reference.labels, method="activation")
    assert (found.neurons.squeeze(2) == reference.expected["activation_neurons"]).sum() == 320
    torch.testing.assert_close(found.scores, reference.expected["activation_score"], **EXACT)


def test_the_influence_patterns_of_the_published_program_are_reproduced(reference: Reference) -> None:
    found = search(reference.model, reference.images, reference.labels, method="influence_pattern", ranked=2)
    assert (found.neurons.squeeze(2) == reference.expected["influence_pattern_neurons"]).sum() == 320
    first, second = found.ranking_scores.unbind(2)
    margin = (first - second) / first.abs()
    torch.testing.assert_close(margin, reference.expected["influence_pattern_margin"], rtol=1e-8, atol=1e-10)
    neurons = reference.expected["influence_pattern_neurons"].long().unsqueeze(2)
    expected = joint_score(reference.model, reference.images, reference.labels, neurons)
    torch.testing.assert_close(found.scores, expected, **EXACT)


@pytest.mark.parametrize("case", SUPPORTED, ids=name)
@pytest.mark.parametrize("method", DEFINITIONS)
def test_a_method_equals_its_definition_on_every_family(
    images: Tensor, targets: Tensor, method: str, case: Case
) -> None:
    model = build(case)
    linears = [down.linear for down in open_vit(model).down]
    images, targets = images[:2], targets[:2]
    options: dict[str, Any] = {"steps": 3, "rule": "gauss-legendre", "top_k": 2}
    found = search(model, images, targets, method=method, ranked=linears[0].in_features, **options)
    expected = torch.stack(
        [
            torch.stack(DEFINITIONS[method](Plain(model, linears, image[None], int(target), case.tokens, **options)))
            for image, target in zip(images, targets)
        ]
    )
    torch.testing.assert_close(all_scores(found), expected, **EXACT)
    assert torch.equal(found.neurons, expected.topk(2).indices)
    expected = joint_score(model, images, targets, found.neurons, steps=3, rule="gauss-legendre")
    torch.testing.assert_close(found.scores, expected, **EXACT)


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
    found = {method: search(vit, images, targets, method=method, steps=3, ranked=64) for method in OTHERS}
    assert {result.ranking.shape for result in found.values()} == {(4, 1, 64)}
    chain, pattern = found["influence_pattern_chain"], found["influence_pattern"]
    torch.testing.assert_close(all_scores(chain), all_scores(pattern), **EXACT)
    if pool == "token":
        product = all_scores(found["gradient_activation"]).abs()
        torch.testing.assert_close(all_scores(found["cross_layer"]), product, **EXACT)


def test_integrated_gradients_are_complete_as_the_nodes_grow(images: Tensor, targets: Tensor) -> None:
    vit = make_vit()
    found = search(vit, images, targets, method="integrated_gradients", steps=64, rule="gauss-legendre", ranked=64)
    linears = [block.mlp.fc2 for block in vit.blocks]
    for one, image in enumerate(images.unsqueeze(1)):
        plain = Plain(vit, linears, image, int(targets[one]), [0])
        clean, values = plain.run(image)
        for layer in range(3):
            without, _ = plain.run(image, {layer: torch.zeros_like(plain.at(values[layer]))})
            total = found.ranking_scores[one, layer].sum()
            torch.testing.assert_close(total, (clean - without).detach(), rtol=1e-9, atol=1e-9)


def test_the_chain_starts_as_the_influence_pattern_and_follows_the_best_neuron(images: Tensor, targets: Tensor) -> None:
    for pool in POOLS:
        vit = make_vit(global_pool=pool)
        chain = search(vit, images, targets, method="influence_pattern_chain", steps=5, ranked=64)
        plain = search(vit, images, targets, method="influence_pattern", steps=5, ranked=64)
        torch.testing.assert_close(all_scores(chain)[:, 0], all_scores(plain)[:, 0], **EXACT)
        assert not torch.allclose(all_scores(chain)[:, 2], all_scores(plain)[:, 2])
        # However many are asked for.
        more = search(vit, images, targets, method="influence_pattern_chain", steps=5, top_k=3)
        assert torch.equal(more.neurons, chain.ranking[..., :3])


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("method", [method for method in METHODS if method not in ("activation", "random")])
def test_equal_scores_go_to_the_lower_index(images: Tensor, method: str, pool: str) -> None:
    vit = make_vit(global_pool=pool)
    with torch.no_grad():
        for block in vit.blocks:
            block.mlp.fc2.weight.zero_()  # no neuron matters
    found = search(vit, images, method=method, top_k=2, ranked=4, steps=3)
    assert found.ranking.tolist() == [[[0, 1, 2, 3]] * 3] * 4
    assert found.ranking_scores.abs().sum() == 0
    assert found.scores.tolist() == [0] * 4


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
    found = search(vit, images, method=method, top_k=2, ranked=64, steps=3)
    lowest_first = torch.arange(64).expand(4, 3, 64)
    assert torch.equal(found.ranking.sort().values, lowest_first)
    assert found.ranking_scores.isfinite().all()
    assert found.scores.tolist() == [0] * 4
    if method not in BLIND_TO_ZEROS:
        assert torch.equal(found.ranking, lowest_first)
        assert found.ranking_scores.abs().sum() == 0
    if method == "influence_pattern_chain":  # nothing flows from neuron to neuron
        assert torch.equal(found.ranking[:, 1:], lowest_first[:, 1:])
        assert (found.ranking_scores[:, 0, 0] > 0).all()


def test_random_paths_belong_to_the_image_and_the_seed(vit: VisionTransformer, images: Tensor) -> None:
    found = search(vit, images, method="random", ranked=64)
    assert len({tuple(path.flatten().tolist()) for path in found.ranking}) == 4
    assert ((found.ranking_scores >= 0) & (found.ranking_scores < 1)).all()
    turned = search(vit, images[[2, 0, 2]], method="random", ranked=64)
    assert torch.equal(turned.ranking, found.ranking[[2, 0, 2]])
    other_model = make_vit(num_heads=4)
    assert torch.equal(search(other_model, images, method="random", ranked=64).ranking, found.ranking)
    # Targets and the precision of model and images do not matter; layers differ.
    again = search(vit.float(), images.float(), torch.tensor([0, 1, 2, 3]), method="random", ranked=64)
    assert torch.equal(again.ranking, found.ranking)
    assert not torch.equal(found.ranking[:, 0], found.ranking[:, 1])

    first, same, other = (torch.cat(random_scores(images, (64, 64), seed=seed), 1) for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    many = torch.cat(random_scores(torch.arange(50.0).reshape(50, 1, 1, 1), (1000,), seed=3))
    assert abs(many.mean() - 0.5) < 0.01
    assert abs(many.std() - 12**-0.5) < 0.01


@pytest.mark.parametrize("method", OTHERS)
def test_every_method_works_in_inference_mode_and_leaves_the_model_as_it_was(
    vit: VisionTransformer, images: Tensor, targets: Tensor, method: str
) -> None:
    expected = search(vit, images, targets, method=method, steps=3)
    vit.train()
    before = images.clone()
    with torch.inference_mode():
        found = search(vit, images.clone(), targets.clone(), method=method, steps=3)
    assert_same(found, expected)
    assert torch.equal(images, before)
    assert not any(tensor.requires_grad for tensor in (found.scores, found.neuron_scores, found.ranking_scores))
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
    for found, tolerance in ((single, 1e-4), (mixed, 0.1)):
        assert {found.scores.dtype, found.neuron_scores.dtype, found.ranking_scores.dtype} == {torch.float32}
        error = (all_scores(found) - exact).norm() / exact.norm()
        assert error < tolerance


def test_a_bfloat16_model_is_searched(vit: VisionTransformer, images: Tensor) -> None:
    vit.bfloat16()
    for method in OTHERS:
        found = search(vit, images.bfloat16(), method=method, steps=3)
        assert found.neuron_scores.dtype == torch.float32


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
