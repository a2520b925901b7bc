from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import open_vit
from nplight.pruning import NeuronMasks, Pruner, PruningSchedule
from nplight.pruning.pruner import plain_copy


def make_pruner(vit: VisionTransformer, share: float = 0.75, reactivation: str | None = None) -> Pruner:
    masks = NeuronMasks(open_vit(vit), straight_through=reactivation is not None)
    schedule = PruningSchedule(share, "linear", 0, 10, 5, 100, again=reactivation is not None)
    return Pruner(masks, schedule, reactivation=reactivation)  # type: ignore[arg-type]


def drawn(seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(64, generator=generator) - 1 for _ in range(3)]  # mostly negative, as scores may be


def test_the_best_are_kept_and_the_pruned_stay_pruned(vit: VisionTransformer) -> None:
    pruner = make_pruner(vit)
    assert not pruner.due(0)  # nothing is pruned at the beginning
    steps = [step for step in range(100) if pruner.due(step) and pruner.choose(step, drawn(step)) is None]
    assert steps == [5, 10]
    assert [int(kept.sum()) for kept in pruner.masks.kept] == [16] * 3
    assert pruner.masks.pruned_share == 0.75
    first = [scores.topk(40).indices for scores in drawn(5)]
    for kept, before, scores in zip(pruner.masks.kept, first, drawn(10)):
        expected = before[scores[before].topk(16).indices]
        assert set(kept.nonzero().flatten().tolist()) == set(expected.tolist())
    assert pruner.reactivated == 0


def test_pruned_neurons_return_where_they_may(vit: VisionTransformer) -> None:
    pruner = make_pruner(vit, reactivation="free")
    pruner.choose(10, drawn(0))
    before = pruner.masks.kept
    assert pruner.due(15)
    pruner.choose(15, drawn(1))
    for kept, scores in zip(pruner.masks.kept, drawn(1)):
        assert set(kept.nonzero().flatten().tolist()) == set(scores.topk(16).indices.tolist())
    back = sum(int((kept & ~was).sum()) for kept, was in zip(pruner.masks.kept, before))
    assert pruner.reactivated == back / 48 > 0


def test_rigl_exchanges_fewer_and_fewer(vit: VisionTransformer) -> None:
    pruner = make_pruner(vit, reactivation="rigl")
    pruner.choose(10, drawn(0))
    exchanged = []
    for step in (15, 40, 70, 80):
        before = pruner.masks.kept
        pruner.choose(step, drawn(step))
        exchanged.append(max(int((kept & ~was).sum()) for kept, was in zip(pruner.masks.kept, before)))
        assert [int(kept.sum()) for kept in pruner.masks.kept] == [16] * 3
    assert exchanged[0] in (3, 4)
    assert exchanged == sorted(exchanged, reverse=True)
    assert exchanged[-1] == 0


def test_equal_scores_keep_the_lower_index(vit: VisionTransformer) -> None:
    pruner = make_pruner(vit)
    pruner.choose(10, [torch.zeros(64)] * 3)
    assert all(kept.nonzero().flatten().tolist() == list(range(16)) for kept in pruner.masks.kept)


def test_at_least_one_neuron_of_a_layer_is_kept(vit: VisionTransformer) -> None:
    pruner = make_pruner(vit, share=0.999)
    pruner.choose(10, drawn(0))
    assert [int(kept.sum()) for kept in pruner.masks.kept] == [1] * 3


@pytest.mark.parametrize("reactivation", [None, "free"])
def test_it_ends_in_a_smaller_model(vit: VisionTransformer, images: Tensor, reactivation: str | None) -> None:
    pruner = make_pruner(vit, reactivation=reactivation)
    assert open_vit(pruner.small_model()).widths == (64, 64, 64)
    pruner.choose(10, drawn(0))
    small = pruner.small_model()
    assert open_vit(small).widths == (16, 16, 16)
    assert not any("parametrizations" in name for name in small.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(small(images), vit(images), rtol=1e-9, atol=1e-9)
        plain = plain_copy(pruner.masks.vit)
        assert torch.equal(plain.forward(images), vit(images))
