"""The search with as few nodes as decide, against the search with every node."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from benchmarks.flops import flops
from nplight import METHODS, OBJECTIVES, RULES, PathBatch, joint_score, search
from tests.conftest import Reference, make_vit

TOLERANCE = 1e-6
SUMMED = [name for name in METHODS if name not in ("activation", "gradient_activation", "cross_layer", "random")]


def assert_equal_up_to_the_tolerance(fast: PathBatch, full: PathBatch, tolerance: float = TOLERANCE) -> None:
    assert torch.equal(fast.neurons.sort(2).values, full.neurons.sort(2).values)
    for name in ("scores", "neuron_scores"):
        actual, expected = getattr(fast, name), getattr(full, name)
        assert ((actual - expected).abs() <= tolerance * expected.abs() + 1e-14).all(), name
    largest = full.ranking_scores.abs().amax(2, keepdim=True)
    assert ((fast.ranking_scores - full.ranking_scores).abs() <= tolerance * largest).all()


def both(model: VisionTransformer, images: Tensor, targets: Tensor, **options: Any) -> tuple[PathBatch, PathBatch]:
    return search(model, images, targets, **options), search(model, images, targets, tolerance=0, **options)


@pytest.mark.parametrize("top_k", [1, 10])
def test_it_is_the_search_of_every_node_on_a_trained_model(reference: Reference, top_k: int) -> None:
    part = slice(0, 80, 4)
    fast, full = both(reference.model, reference.images[part], reference.labels[part], top_k=top_k)
    assert_equal_up_to_the_tolerance(fast, full)
    assert (full.evaluations == 4 * 20).all()
    assert fast.evaluations.double().mean() < 0.85 * 4 * 20
    torch.testing.assert_close(fast.margin, full.margin, rtol=1e-3, atol=2 * TOLERANCE)


@pytest.mark.parametrize("pool", ["token", "avg"])
@pytest.mark.parametrize("method", SUMMED)
def test_every_method_that_sums_over_nodes(images: Tensor, targets: Tensor, method: str, pool: str) -> None:
    vit = make_vit(global_pool=pool)
    assert_equal_up_to_the_tolerance(*both(vit, images, targets, method=method, steps=40, top_k=2))


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("method", ["jas", "joint_integrated_gradients"])
def test_every_objective(vit: VisionTransformer, images: Tensor, targets: Tensor, method: str, objective: str) -> None:
    options = {"method": method, "objective": objective, "steps": 30}
    assert_equal_up_to_the_tolerance(*both(vit, images, targets, **options))
    assert_equal_up_to_the_tolerance(*both(vit, images, targets, patch_stream="frozen", **options))


@pytest.mark.parametrize("method", [name for name, row in METHODS.items() if row.joint])
def test_a_joint_search_of_categories(vit: VisionTransformer, images: Tensor, targets: Tensor, method: str) -> None:
    fast, full = both(vit, images, targets, method=method, granularity="category", steps=40)
    assert_equal_up_to_the_tolerance(fast, full)
    # What is not smooth in alpha is evaluated at every node.
    smooth = method != "joint_positive_gradients"
    assert (fast.evaluations < full.evaluations).all() == smooth


@given(
    rule=st.sampled_from(list(RULES)),
    steps=st.integers(14, 60),
    top_k=st.integers(1, 6),
    pool=st.sampled_from(["token", "avg"]),
    sharpness=st.sampled_from([1.0, 5.0]),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=12, deadline=None)
def test_random_models(rule: str, steps: int, top_k: int, pool: str, sharpness: float, seed: int) -> None:
    vit = make_vit(global_pool=pool, depth=2)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in vit.parameters():
            weight.add_(torch.randn(weight.shape, generator=draw, dtype=torch.float64) * 0.3)
        vit.head.weight.mul_(sharpness)
    images = torch.randn(2, 3, 8, 8, generator=draw, dtype=torch.float64)
    assert_equal_up_to_the_tolerance(*both(vit, images, torch.tensor([1, 4]), rule=rule, steps=steps, top_k=top_k))


def test_a_sharp_integrand_is_evaluated_in_full(reference: Reference) -> None:
    """With 30 times the head's weights the probability is a step in α."""
    with torch.no_grad():
        reference.model.head.weight.mul_(30)
    part = slice(0, 80, 8)
    fast, full = both(reference.model, reference.images[part], reference.labels[part])
    assert_equal_up_to_the_tolerance(fast, full)
    assert (fast.evaluations > 20 * 4 * 0.9).double().mean() > 0.5


def test_no_image_depends_on_its_batch(reference: Reference) -> None:
    part = slice(0, 80, 10)
    images, labels = reference.images[part], reference.labels[part]
    whole = search(reference.model, images, labels, top_k=2)
    assert len(whole.evaluations.unique()) > 1
    alone = PathBatch.cat(
        [search(reference.model, images[[one]], labels[[one]], top_k=2, chunk_size=7) for one in range(8)]
    )
    assert torch.equal(whole.evaluations, alone.evaluations)
    assert torch.equal(whole.ranking, alone.ranking)
    torch.testing.assert_close(whole.ranking_scores, alone.ranking_scores, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(whole.scores, alone.scores, rtol=1e-9, atol=1e-12)


def test_it_does_less(reference: Reference) -> None:
    image, label = reference.images[:1], reference.labels[:1]
    options: dict[str, Any] = {"steps": 100}
    work = [flops(lambda t=t: search(reference.model, image, label, tolerance=t, **options)) for t in (1e-6, 0)]
    assert work[0] < 0.5 * work[1]


def test_a_joint_score_is_within_the_tolerance(reference: Reference) -> None:
    part = slice(0, 80, 8)
    arguments = (reference.model, reference.images[part], reference.labels[part], reference.neurons[part])
    fast, full = joint_score(*arguments), joint_score(*arguments, tolerance=0)
    assert ((fast - full).abs() <= TOLERANCE * full.abs()).all()
    assert not torch.equal(fast, full)


@pytest.mark.parametrize("tolerance", [0, None])
def test_without_a_tolerance_every_node_is_evaluated(
    vit: VisionTransformer, images: Tensor, targets: Tensor, tolerance: float | None
) -> None:
    found = search(vit, images, targets, tolerance=tolerance)
    assert found.evaluations.tolist() == [3 * 20] * 4


def test_few_nodes_are_all_evaluated(vit: VisionTransformer, images: Tensor, targets: Tensor) -> None:
    fast, full = both(vit, images, targets, steps=8)
    assert torch.equal(fast.evaluations, full.evaluations)
    assert torch.equal(fast.ranking_scores, full.ranking_scores)


def test_below_the_rounding_of_the_dtype_every_node_is_evaluated_and_it_is_said(
    vit: VisionTransformer, images: Tensor, targets: Tensor
) -> None:
    vit.float()
    with pytest.warns(RuntimeWarning, match="`tolerance` 1e-09 is below the rounding of torch.float32"):
        found = search(vit, images.float(), targets, tolerance=1e-9)
    assert found.evaluations.tolist() == [3 * 20] * 4
    vit.bfloat16()
    assert search(vit, images.bfloat16(), targets).evaluations.tolist() == [3 * 20] * 4
    assert (search(vit, images.bfloat16(), targets, tolerance=0.1, steps=40).evaluations <= 3 * 40 + 36).all()
