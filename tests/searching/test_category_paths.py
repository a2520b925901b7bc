from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nplight import category_paths
from nplight.errors import ArgumentError
from nplight.searching import CATEGORY_METHODS, CategoryVotes


def paths_of(*neurons: list[list[int]]) -> Tensor:
    return torch.tensor(neurons)


# One category, one layer, two ranks: neuron 4 is on three paths, 7 and 9 on two, 1 on one.
FOUR_IMAGES = paths_of([[7, 4]], [[7, 9]], [[4, 9]], [[1, 4]])
SCORES = torch.tensor([[[5.0, 1.0]], [[2.0, 1.0]], [[2.0, 1.0]], [[9.0, 1.0]]])
LABELS = torch.zeros(4, dtype=torch.int64)


def test_frequency_takes_the_neurons_on_most_paths_and_ties_by_summed_score() -> None:
    actual = category_paths(FOUR_IMAGES, LABELS, num_classes=1, top_k=2, scores=SCORES)
    assert actual.neurons.tolist() == [[[4, 7]]]  # 7 sums to 7, 9 to 2
    assert actual.votes.tolist() == [[[3, 2]]]
    assert actual.images.tolist() == [4]
    assert actual.method == "frequency"


def test_frequency_without_scores_takes_the_lower_index() -> None:
    actual = category_paths(FOUR_IMAGES, LABELS, num_classes=1, top_k=3)
    assert actual.neurons.tolist() == [[[4, 7, 9]]]


def test_rank_mode_takes_the_most_frequent_neuron_of_each_rank_and_may_repeat_one() -> None:
    actual = category_paths(FOUR_IMAGES, LABELS, num_classes=1, top_k=2, method="rank-mode", scores=SCORES)
    assert actual.neurons.tolist() == [[[7, 4]]]
    repeated = paths_of([[3, 5]], [[3, 2]], [[6, 3]], [[7, 3]])
    actual = category_paths(repeated, LABELS, num_classes=1, top_k=2, method="rank-mode")
    assert actual.neurons.tolist() == [[[3, 3]]]
    assert actual.votes.tolist() == [[[2, 2]]]


def test_mean_score_counts_an_image_without_the_neuron_as_zero() -> None:
    actual = category_paths(FOUR_IMAGES, LABELS, num_classes=1, top_k=2, method="mean-score", scores=SCORES)
    assert actual.neurons.tolist() == [[[1, 7]]]
    assert actual.votes.tolist() == [[[9 / 4, 7 / 4]]]


def by_hand(neurons: Tensor, labels: Tensor, scores: Tensor, category: int, layer: int, top_k: int) -> list[int]:
    votes: Counter[int] = Counter()
    sums: Counter[int] = Counter()
    for image in range(len(labels)):
        if labels[image] == category:
            for neuron, score in zip(neurons[image, layer].tolist(), scores[image, layer].tolist()):
                votes[neuron] += 1
                sums[neuron] += score
    return sorted(votes, key=lambda neuron: (-votes[neuron], -sums[neuron], neuron))[:top_k]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 3), st.integers(1, 9), st.integers(1, 4))
def test_batches_in_any_order_give_the_votes_counted_by_hand(
    seed: int, num_classes: int, layers: int, images: int, pieces: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    labels = torch.cat([torch.arange(num_classes), torch.randint(num_classes, (images,), generator=draw)])
    count = len(labels)
    neurons = torch.rand(count, layers, 6, generator=draw).argsort(-1)[..., :3]
    # Whole scores, so that ties happen.
    scores = torch.randint(3, (count, layers, 3), generator=draw).double()
    votes = CategoryVotes(num_classes, top_k=2)
    for part in torch.randperm(count, generator=draw).tensor_split(pieces):
        if len(part):
            votes.update(neurons[part], labels[part], scores[part])
    actual = votes.compute()
    for category in range(num_classes):
        for layer in range(layers):
            expected = by_hand(neurons, labels, scores, category, layer, 2)
            assert actual.neurons[category, layer].tolist() == expected
    assert actual.images.tolist() == labels.bincount(minlength=num_classes).tolist()


def test_merging_after_every_batch_changes_nothing() -> None:
    votes = CategoryVotes(1, top_k=2)
    for image in range(4):
        votes.update(FOUR_IMAGES[[image]], LABELS[[image]], SCORES[[image]])
        actual = votes.compute() if image else None
    assert actual is not None
    whole = category_paths(FOUR_IMAGES, LABELS, num_classes=1, top_k=2, scores=SCORES)
    assert torch.equal(actual.neurons, whole.neurons)
    assert torch.equal(actual.votes, whole.votes)


def test_paths_of_categories_are_picked_by_label() -> None:
    actual = category_paths(paths_of([[3]], [[5]]), torch.tensor([1, 0]), num_classes=2)
    assert actual.of(torch.tensor([0, 1, 1])).tolist() == [[[5]], [[3]], [[3]]]
    assert len(actual) == 2
    assert actual.top_k == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"labels": torch.tensor([0, 0, 0, 1])}, r"`labels` must be in 0 … 0, got 1"),
        ({"labels": torch.tensor([0, 0, 0, -1])}, r"`labels` must be in 0 … 0, got -1"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, r"`labels` must .* shape \(4,\), got torch.int64 \(3,\)"),
        ({"labels": torch.zeros(4)}, r"`labels` must be an int64 tensor of shape \(4,\), got torch.float32 \(4,\)"),
        ({"labels": [0, 0, 0, 0]}, "`labels` must be an int64 tensor .* got list"),
        ({"labels": None}, "`labels` must be an int64 tensor .* got NoneType"),
        ({"num_classes": 3}, "at least one image to form its path, but categories 1, 2 have none"),
        ({"num_classes": 10**12}, "`num_classes` must be at most 1048576, got 1000000000000"),
        ({"num_classes": 2.0}, "`num_classes` must be an integer of at least 1, got 2.0"),
        ({"num_classes": 1 << 20, "top_k": 1 << 20}, "`num_classes` x layers x `top_k` .* 1048576 x 1 x 1048576"),
        ({"num_classes": 0}, "`num_classes` must be an integer of at least 1"),
        ({"top_k": 5}, "`top_k` = 5 is more than the distinct neurons .* category 0 in layer 0"),
        ({"top_k": 0}, "`top_k` must be an integer of at least 1"),
        ({"method": "vote"}, "`method` must be one of 'frequency', 'rank-mode', 'mean-score', got 'vote'"),
        ({"method": "mean-score"}, "`scores` must be given for method 'mean-score'"),
        ({"method": "rank-mode", "top_k": 1}, "top_k = 1 ranks"),
        ({"scores": torch.zeros(4, 1, 3)}, "`scores` must have the shape of `neurons`"),
        ({"scores": SCORES.tolist()}, "`scores` must have the shape of `neurons`, .* got list"),
        ({"scores": SCORES.where(SCORES != 9, torch.nan)}, "`scores` must be finite, got nan for image 3"),
        ({"scores": SCORES.where(SCORES != 2, -torch.inf)}, "`scores` must be finite, got -inf for image 1"),
        ({"neurons": FOUR_IMAGES.tolist()}, "`neurons` must be an int64 tensor, got list"),
        ({"neurons": FOUR_IMAGES.float()}, "`neurons` must be an int64 tensor"),
        ({"neurons": FOUR_IMAGES[0]}, r"`neurons` must be \(images, layers, K\)"),
        ({"neurons": -FOUR_IMAGES}, "`neurons` of layer 0 must be in"),
    ],
)
def test_bad_arguments_are_refused(change: dict[str, object], reason: str) -> None:
    arguments = {"neurons": FOUR_IMAGES, "labels": LABELS, "num_classes": 1, "top_k": 2, **change}
    with pytest.raises(ArgumentError, match=reason):
        category_paths(**arguments)


def test_methods_are_described() -> None:
    assert list(CATEGORY_METHODS) == ["frequency", "rank-mode", "mean-score"]
    assert all(CATEGORY_METHODS.values())
