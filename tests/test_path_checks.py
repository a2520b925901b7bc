from __future__ import annotations

import pytest
import torch

from nplight import PathBatch
from nplight.errors import ArgumentError, PositionError
from nplight.path_checks import check_labels, check_neurons, checked_shape, positions_of
from tests.path_samples import searched_paths


@pytest.fixture(scope="module")
def paths() -> PathBatch:
    return searched_paths()


@pytest.mark.parametrize("index", [5, -6, [0, 5], torch.tensor(7)])
def test_a_position_that_is_none_is_refused(paths: PathBatch, index: object) -> None:
    with pytest.raises(PositionError, match=r"position of an image must be in 0 … 4, got -?\d"):
        paths[index]  # type: ignore[index]
    assert issubclass(PositionError, (IndexError, ArgumentError))


@pytest.mark.parametrize("index", ["a", 0.5, True, None, torch.ones(4, dtype=torch.bool), slice("a", None), [[0]]])
def test_what_is_no_position_is_refused(paths: PathBatch, index: object) -> None:
    with pytest.raises(ArgumentError, match=r"images must be chosen by|a slice of images must be of whole numbers"):
        paths[index]  # type: ignore[index]


def test_positions_are_those_that_a_list_would_choose() -> None:
    numbers = list(range(5))
    for chosen in (slice(1, None, 2), slice(None, None, -1), slice(4, 2), slice(-2, 99)):
        assert positions_of(chosen, 5).tolist() == numbers[chosen]
    assert positions_of(range(-2, 1), 5).tolist() == [3, 4, 0]
    assert positions_of([], 5).dtype == torch.int64


def test_neurons_outside_a_layer_or_repeated_are_refused() -> None:
    check_neurons(torch.tensor([[[0, 1], [2, 2]]]), [2, 3], images=1)
    with pytest.raises(ArgumentError, match="`neurons` of layer 1 must be in 0 … 2, got 3"):
        check_neurons(torch.tensor([[0], [3]]), [2, 3])
    with pytest.raises(ArgumentError, match="must be distinct, got neuron 2 twice in layer 1"):
        check_neurons(torch.tensor([[0, 1], [2, 2]]), [2, 3], distinct=True)
    with pytest.raises(ArgumentError, match=r"one path for each of the 2 images, .*, got 1 paths"):
        check_neurons(torch.zeros(1, 2, 1, dtype=torch.int64), [2, 3], images=2)


def test_labels_are_one_category_per_image() -> None:
    check_labels(torch.tensor([0, 2]), 2, 3)
    with pytest.raises(ArgumentError, match="`labels` must be in 0 … 2, got 3 for image 1"):
        check_labels(torch.tensor([0, 3]), 2, 3)
    with pytest.raises(ArgumentError, match=r"`labels` must be an int64 tensor of shape \(2,\), got torch.float32"):
        check_labels(torch.zeros(2), 2, 3)


def test_a_shape_is_named_when_it_is_another() -> None:
    assert checked_shape("scores", torch.zeros(2, 3), (None, 3)) == (2, 3)
    with pytest.raises(ArgumentError, match=r"`scores` must have shape \(any, 4\), got \(2, 3\)"):
        checked_shape("scores", torch.zeros(2, 3), (None, 4))
    with pytest.raises(ArgumentError, match=r"`neurons` must be int64, got torch\.float32"):
        checked_shape("neurons", torch.zeros(2), (2,), integer=True)
