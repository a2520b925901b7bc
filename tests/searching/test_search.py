from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import METHODS, PathBatch, UnsupportedModelError, joint_score, open_vit, search
from nplight.attribution import plain_joint_score, plain_search
from nplight.errors import ArgumentError, NonFiniteError
from nplight.vit import undisturbed
from tests.conftest import Reference, make_vit

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def assert_same(actual: PathBatch, expected: PathBatch) -> None:
    for name in ("neurons", "ranking", "targets", "predictions"):
        assert torch.equal(getattr(actual, name), getattr(expected, name)), name
    for name in ("neuron_scores", "ranking_scores", "scores", "probability"):
        torch.testing.assert_close(getattr(actual, name), getattr(expected, name), **EXACT)


def oracle(vit: VisionTransformer, images: Tensor, targets: Tensor, **options: Any) -> PathBatch:
    with undisturbed(vit):
        return plain_search(open_vit(vit), images, targets, **options)


def test_every_path_and_score_of_the_published_program_is_reproduced(reference: Reference) -> None:
    actual = search(reference.model, reference.images, reference.labels)
    assert (actual.neurons == reference.neurons).sum() == 320
    torch.testing.assert_close(actual.scores, reference.expected["jas_score"], **EXACT)
    torch.testing.assert_close(actual.probability, reference.expected["probability"], **EXACT)
    assert torch.equal(actual.predictions, reference.expected["logits"].argmax(1))


def test_joint_scores_of_the_published_program_are_reproduced(reference: Reference) -> None:
    for paths, scores in (("jas_neurons", "jas_score"), ("activation_neurons", "activation_score")):
        neurons = reference.expected[paths].long().unsqueeze(-1)
        actual = joint_score(reference.model, reference.images, reference.labels, neurons)
        torch.testing.assert_close(actual, reference.expected[scores], **EXACT)


def test_every_path_and_score_of_the_published_program_is_reproduced_over_patch_tokens(
    pooled_reference: Reference,
) -> None:
    model, expected = pooled_reference.model, pooled_reference.expected
    actual = search(model, pooled_reference.images, pooled_reference.labels)
    assert (actual.neurons == pooled_reference.neurons).sum() == 320
    torch.testing.assert_close(actual.scores, expected["jas_score"], **EXACT)
    torch.testing.assert_close(actual.probability, expected["probability"], **EXACT)
    assert torch.equal(actual.predictions, expected["logits"].argmax(1))
    neurons = expected["activation_neurons"].long().unsqueeze(-1)
    scores = joint_score(model, pooled_reference.images, pooled_reference.labels, neurons)
    torch.testing.assert_close(scores, expected["activation_score"], **EXACT)


def test_a_path_of_a_whole_layer_is_defined(vit: VisionTransformer, images: Tensor, targets: Tensor) -> None:
    options = {"top_k": 64, "steps": 2}
    actual, expected = search(vit, images, targets, **options), oracle(vit, images, targets, **options)
    assert torch.equal(actual.neurons.sort().values, torch.arange(64).expand(4, 3, 64))
    torch.testing.assert_close(actual.scores, expected.scores, **EXACT)


def test_a_joint_score_takes_any_path_one_for_all_or_one_each(
    vit: VisionTransformer, images: Tensor, targets: Tensor
) -> None:
    path = torch.tensor([[3, 9, 1], [0, 1, 2], [50, 2, 7]])
    with undisturbed(vit):
        expected = plain_joint_score(open_vit(vit), images, targets, path.expand(4, 3, 3))
    torch.testing.assert_close(joint_score(vit, images, targets, path), expected, **EXACT)
    torch.testing.assert_close(joint_score(vit, images, targets, path.expand(4, 3, 3)), expected, **EXACT)


def test_an_image_does_not_depend_on_its_batch(vit: VisionTransformer, images: Tensor, targets: Tensor) -> None:
    whole = search(vit, images, targets, steps=4)
    alone = [search(vit, images[[one]], targets[[one]], steps=4) for one in range(4)]
    assert_same(PathBatch.cat(alone), whole)
    order = torch.tensor([2, 0, 3, 1])
    assert_same(PathBatch.cat([alone[one] for one in order]), search(vit, images[order], targets[order], steps=4))


def test_ranking_more_candidates_changes_no_path(vit: VisionTransformer, images: Tensor, targets: Tensor) -> None:
    few, many = search(vit, images, targets, steps=4), search(vit, images, targets, steps=4, ranked=64)
    assert torch.equal(few.neurons, many.neurons)
    assert torch.equal(many.ranking[..., :1], many.neurons)
    assert torch.equal(many.ranking.sort().values, torch.arange(64).expand(4, 3, 64))
    assert (many.ranking_scores.diff(dim=-1) <= 0).all()


def test_equal_scores_go_to_the_lower_index(images: Tensor) -> None:
    vit = make_vit()
    with torch.no_grad():
        for block in vit.blocks:
            block.mlp.fc2.weight.zero_()  # no neuron matters: every score is 0
    actual = search(vit, images, top_k=2, ranked=4)
    assert actual.ranking.tolist() == [[[0, 1, 2, 3]] * 3] * 4
    assert actual.scores.tolist() == [0] * 4


def test_without_targets_each_image_is_searched_for_its_prediction(reference: Reference) -> None:
    model, images = reference.model, reference.images[::16]
    predicted = model.eval()(images).argmax(1)
    assert len(predicted.unique()) == 5
    assert_same(search(model, images, steps=3), search(model, images, predicted, steps=3))
    path = torch.tensor([[1], [2], [3], [4]])
    assert torch.equal(joint_score(model, images, None, path), joint_score(model, images, predicted, path))


@pytest.mark.parametrize("mode", [contextlib.nullcontext, torch.no_grad, torch.inference_mode])
def test_it_works_in_every_mode_and_leaves_the_model_as_it_was(
    vit: VisionTransformer, images: Tensor, targets: Tensor, mode: Any
) -> None:
    expected = search(vit, images, targets, steps=3)
    vit.train()
    vit.head.weight.requires_grad_(False)
    vit.cls_token.grad = torch.ones_like(vit.cls_token)
    with mode():
        actual = search(vit, images.clone(), targets.clone(), steps=3)
        score = joint_score(vit, images.clone(), targets.clone(), actual.neurons, steps=3)
    assert_same(actual, expected)
    torch.testing.assert_close(score, expected.scores, **EXACT)
    assert not actual.scores.requires_grad
    assert not score.requires_grad
    assert all(module.training for module in vit.modules())
    assert [name for name, weight in vit.named_parameters() if not weight.requires_grad] == ["head.weight"]
    assert [name for name, weight in vit.named_parameters() if weight.grad is not None] == ["cls_token"]
    assert (vit.cls_token.grad == 1).all()
    assert not any(module._forward_pre_hooks for module in vit.modules())


def test_inputs_are_not_changed(vit: VisionTransformer, images: Tensor, targets: Tensor) -> None:
    before = images.clone(), targets.clone()
    images.requires_grad_()
    search(vit, images, targets, steps=2)
    assert images.grad is None
    assert torch.equal(images, before[0])
    assert torch.equal(targets, before[1])


def test_float32_and_bfloat16_autocast_score_in_float32(vit: VisionTransformer, images: Tensor) -> None:
    exact = search(vit, images, steps=4)
    vit.float()
    single = search(vit, images.float(), steps=4)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = search(vit, images.float(), steps=4)
    for actual in (single, mixed):
        assert {actual.scores.dtype, actual.neuron_scores.dtype, actual.probability.dtype} == {torch.float32}
    torch.testing.assert_close(single.probability.double(), exact.probability, rtol=1e-4, atol=1e-5)
    assert (single.neurons == exact.neurons).double().mean() > 0.9
    torch.testing.assert_close(mixed.probability.double(), exact.probability, rtol=0.1, atol=0.05)


def test_edits_around_a_search_hold_for_its_clean_values(vit: VisionTransformer, images: Tensor) -> None:
    # The model that is searched is the model as its hooks make it.
    vit.blocks[0].attn.register_forward_hook(lambda module, arguments, output: 0.5 * output)
    assert_same(search(vit, images, steps=3), oracle(vit, images, vit(images).argmax(1), steps=3))


BAD = [
    (
        {"method": "guess"},
        "`method` must be one of 'jas', 'joint_integrated_gradients', .*, 'greedy_removal', 'random', got 'guess'",
    ),
    ({"rule": "simpson"}, "`rule` must be one of"),
    ({"steps": 0}, "`steps` must be an integer of at least 1, got 0"),
    ({"top_k": 0}, "`top_k` must be an integer of at least 1, got 0"),
    ({"top_k": 65}, "`top_k` must be at most 64, the narrowest layer's width, got 65"),
    ({"ranked": 65}, "`ranked` must be at most 64"),
    ({"top_k": 3, "ranked": 2}, "`ranked` must be at least `top_k` = 3, got 2"),
    ({"granularity": "batch"}, "`granularity` must be one of 'image', 'category', got 'batch'"),
    ({"seed": -1}, "`seed` must be an integer of at least 0, got -1"),
    ({"seed": 0.5}, "`seed` must be an integer of at least 0, got 0.5"),
    ({"chunk_size": 0}, "`chunk_size` must be an integer of at least 1, got 0"),
    ({"patch_stream": "thawed"}, "`patch_stream` must be one of 'exact'.*, got 'thawed'"),
    ({"targets": torch.tensor([0, 1, 2, 5])}, "`targets` must be categories in 0 … 4, got 5 for image 3"),
    ({"targets": torch.tensor([0, -1, 2, 3])}, "got -1 for image 1"),
    ({"targets": torch.tensor([0, 1])}, r"`targets` must be an int64 tensor of shape \(4,\), got torch.int64 \(2,\)"),
    ({"targets": torch.zeros(4)}, "`targets` must be an int64 tensor"),
    ({"images": torch.zeros(4, 3, 8, 9, dtype=torch.float64)}, r"`images` must have shape \(images, 3, 8, 8\)"),
    ({"images": torch.zeros(4, 3, 8, 8)}, "`images` must have the model's dtype torch.float64, got torch.float32"),
]


@pytest.mark.parametrize(("change", "reason"), BAD)
def test_bad_arguments_are_refused(
    vit: VisionTransformer, images: Tensor, targets: Tensor, change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ArgumentError, match=reason):
        search(vit, **{"images": images, "targets": targets, **change})


@pytest.mark.parametrize(
    ("neurons", "reason"),
    [
        (torch.tensor([[1, 1], [0, 2], [0, 2]]), "distinct, got neuron 1 twice in layer 0"),
        (torch.zeros(2, 3, 1, dtype=torch.int64), "one path for each of the 4 images.*got 2 paths"),
        (torch.tensor([[64], [0], [0]]), "layer 0 must be in 0 … 63, got 64"),
    ],
)
def test_bad_paths_are_refused(vit: VisionTransformer, images: Tensor, neurons: Tensor, reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason):
        joint_score(vit, images, None, neurons)


def test_images_that_are_not_finite_are_named(vit: VisionTransformer, images: Tensor) -> None:
    images[1, 0, 2, 2] = torch.nan
    images[3, 0, 2, 2] = torch.inf
    for chunk_size in (1, None):
        with pytest.raises(NonFiniteError, match="pixels for the images at positions") as caught:
            search(vit, images, steps=2, chunk_size=chunk_size)
        assert caught.value.positions[0] == 1


def test_weights_that_are_not_finite_are_found(vit: VisionTransformer, images: Tensor) -> None:
    with torch.no_grad():
        vit.blocks[1].mlp.fc1.bias[3] = torch.nan
    with pytest.raises(
        NonFiniteError, match="the clean pass gave NaN or infinite values for the images at positions 0, 1"
    ):
        search(vit, images, steps=2)


def test_methods_are_closed() -> None:
    assert list(METHODS) == [
        "jas", "joint_integrated_gradients", "joint_integrated_gradients_held", "joint_positive_gradients",
        "activation", "influence_pattern", "influence_pattern_chain", "integrated_gradients", "conductance",
        "gradient_activation", "cross_layer", "greedy_removal", "random",
    ]  # fmt: skip
    with pytest.raises(TypeError):
        METHODS["other"] = METHODS["jas"]  # type: ignore[index]


def test_an_unsupported_model_is_refused(images: Tensor) -> None:
    with pytest.raises(UnsupportedModelError, match="Linear"):
        search(torch.nn.Linear(2, 2), images)


def test_what_a_score_is_stands_where_users_look() -> None:
    for described in (search, joint_score, PathBatch):
        text = " ".join((described.__doc__ or "").split())
        assert "neurons of its layers at the path tokens are held at their clean values" in text
    for described in (search, PathBatch):
        assert "not shares of" in " ".join((described.__doc__ or "").split())
