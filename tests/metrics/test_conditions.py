from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import CategoryPaths, intervene, open_vit
from nplight.errors import ArgumentError
from nplight.metrics import (
    Condition,
    all_conditions,
    depth_conditions,
    dose_conditions,
    extreme_conditions,
    own_conditions,
    predictions,
    whole_conditions,
)


@pytest.fixture
def paths() -> dict[int, CategoryPaths]:
    draw = torch.Generator().manual_seed(0)
    ranking = torch.rand(5, 3, 64, generator=draw).argsort(-1)
    return {
        size: CategoryPaths(ranking[..., :size], torch.ones(5, 3, size), torch.ones(5, dtype=torch.int64), "frequency")
        for size in (1, 4)
    }


def test_conditions_are_the_clean_the_removed_the_enhanced_and_the_whole_grid() -> None:
    conditions = all_conditions(2, (1, 4), (0.1, 1.0))
    assert conditions[:3] == (Condition("clean"), Condition("removed", 2), Condition("enhanced", 2))
    assert [(one.kept, one.pruned) for one in conditions[3:]] == [(1, 0.1), (1, 1.0), (4, 0.1), (4, 1.0)]
    with pytest.raises(ArgumentError, match=r"`fractions` must be a fraction in \[0, 1\] .*, got 10"):
        all_conditions(1, (1,), (10,))


def test_each_image_is_edited_along_the_path_of_its_own_category(
    vit: VisionTransformer, images: Tensor, targets: Tensor, paths: dict[int, CategoryPaths]
) -> None:
    conditions = all_conditions(1, (1, 4), (0.0, 1.0))
    found = dict(zip(conditions, predictions(open_vit(vit), images, targets, conditions, {"jas": paths})["jas"]))
    with torch.no_grad():
        clean = vit(images).softmax(1)
        torch.testing.assert_close(found[Condition("clean")], clean)
        torch.testing.assert_close(found[Condition("kept", 4, 0.0)], clean)
        for condition, operation in (
            (Condition("removed", 1), "remove"),
            (Condition("enhanced", 1), "enhance"),
            (Condition("kept", 1, 1.0), "keep"),
            (Condition("kept", 4, 1.0), "keep"),
        ):
            neurons = torch.stack([paths[condition.kept].neurons[label] for label in targets.tolist()])
            with intervene(vit, neurons, operation):
                torch.testing.assert_close(found[condition], vit(images).softmax(1))


def test_what_a_fraction_prunes_depends_on_seed_and_category_not_on_the_batch(
    vit: VisionTransformer, images: Tensor, targets: Tensor, paths: dict[int, CategoryPaths]
) -> None:
    conditions = all_conditions(1, (4,), (0.3, 0.5))

    def run(order: list[int], seed: int) -> Tensor:
        found = predictions(open_vit(vit), images[order], targets[order], conditions, {"jas": paths}, seed=seed)
        return torch.stack(found["jas"])

    whole = run([0, 1, 2, 3], 0)
    torch.testing.assert_close(run([3, 1], 0), whole[:, [3, 1]])
    assert not torch.allclose(run([0, 1, 2, 3], 1)[3:], whole[3:])
    edited = []
    vit.blocks[0].mlp.fc2.register_forward_hook(lambda module, arguments, output: edited.append(arguments[0][:, 0]))
    predictions(open_vit(vit), images, targets, conditions[-1:], {"jas": paths})
    pruned = edited[-1] == 0  # the clean pass runs first
    assert pruned.sum(1).tolist() == [30] * 4
    assert torch.equal(pruned[1], pruned[3])  # the two images of category 3
    assert not torch.equal(pruned[0], pruned[1])


def test_conditions_that_are_others_are_left_out() -> None:
    assert depth_conditions(1, 4, (0.0, 0.5, 0.5, 1.0)) == (
        Condition("removed", 1, layers=2),
        Condition("kept", 1, 1.0, layers=2),
    )
    assert [one.layers for one in depth_conditions(1, 12, (0.25, 0.5, 0.75))] == [3, 3, 6, 6, 9, 9]
    assert [one.scale for one in dose_conditions(1, (0, 2, 1.5, 1, 0.25))] == [0.25, 1.5]
    extreme = extreme_conditions(1, (1, 4), tokens="all")
    assert [(one.name, one.kept) for one in extreme] == [("none", None), ("removed", 1), ("kept", 1), ("kept", 4)]
    with pytest.raises(ArgumentError, match="`depths` must be a fraction"):
        depth_conditions(1, 4, (3,))


def test_whole_conditions_are_those_of_all_layers_at_the_main_tokens() -> None:
    main = all_conditions(1, (1,), (1.0,))
    conditions = (*main, Condition("none"), *extreme_conditions(1, (1,), tokens="all"), *depth_conditions(1, 4, (0.5,)))
    assert whole_conditions(conditions) == [*main, Condition("none")]
    everywhere = all_conditions(1, (1,), (1.0,), tokens="all")
    assert whole_conditions(everywhere) == list(everywhere)
    assert [condition.main for condition in all_conditions(1, (1,), (0.5, 1.0))] == [True, True, True, False, True]


def test_the_factor_of_a_path_is_that_of_its_name() -> None:
    names = {one.name: one.factor for one in (*all_conditions(1, (1,), (1.0,)), *own_conditions(1))}
    assert names == {
        "clean": None, "removed": 0, "enhanced": 2, "kept": None, "own clean": None, "own removed": 0,
        "own enhanced": 2,
    }  # fmt: skip
    assert Condition("scaled", 1, scale=0.5).factor == 0.5
    assert [one.own and one.unedited for one in own_conditions(1)] == [True, False, False]
