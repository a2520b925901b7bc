from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from sklearn.naive_bayes import CategoricalNB

from nplight.results.read_out import PathRows, in_first_half, random_rows, read_out

WIDTHS = [6, 6, 6]
DRAW = torch.Generator().manual_seed(0)
TARGETS = torch.randint(4, (400,), generator=DRAW)
NEURONS = torch.where(
    torch.rand(400, 3, generator=DRAW) < 0.4, TARGETS[:, None], torch.randint(6, (400, 3), generator=DRAW)
)
CHECKSUMS = torch.randint(1 << 32, (400,), generator=DRAW)


def rows(batch: int = 64) -> Iterator[PathRows]:
    for part in torch.arange(400).split(batch):
        yield PathRows(NEURONS[part][:, :, None], TARGETS[part], CHECKSUMS[part])


@pytest.mark.parametrize("seed", [0, 1])
def test_one_half_is_judged_by_the_other(seed: int) -> None:
    half = in_first_half(CHECKSUMS, seed)
    assert 150 < int(half.sum()) < 250
    oracle = CategoricalNB(min_categories=6).fit(NEURONS[half].numpy(), TARGETS[half].numpy())
    expected = (oracle.predict(NEURONS[~half].numpy()) == TARGETS[~half].numpy()).mean()
    for batch in (1000, 17):
        estimate = read_out(lambda batch=batch: rows(batch), num_classes=4, widths=WIDTHS, seed=seed)
        assert estimate.value == pytest.approx(expected)
        assert estimate.images == int((~half).sum())
        assert estimate.low < estimate.value < estimate.high
    assert estimate.low > 0.5


def test_equal_images_are_in_the_same_half() -> None:
    assert in_first_half(torch.tensor([7, 7, 7]), 0).unique().numel() == 1


def test_random_paths_are_at_chance_and_of_distinct_neurons() -> None:
    drawn = random_rows(rows, WIDTHS)
    neurons = torch.cat([paths.neurons for paths in drawn()])
    assert neurons.shape == (400, 3, 1)
    assert torch.equal(neurons, torch.cat([paths.neurons for paths in random_rows(lambda: rows(9), WIDTHS)()]))
    assert neurons.flatten().bincount().min() > 120  # of 200 expected
    assert not torch.equal(neurons[:, 0], neurons[:, 1])
    estimate = read_out(drawn, num_classes=4, widths=WIDTHS)
    assert estimate.low < 0.25 < estimate.high

    def wide() -> Iterator[PathRows]:
        yield PathRows(torch.zeros(50, 3, 4, dtype=torch.int64), TARGETS[:50], CHECKSUMS[:50])

    (paths,) = random_rows(wide, WIDTHS)()
    assert (paths.neurons.sort(-1).values.diff(dim=-1) > 0).all()
    assert paths.neurons.max() == 5


def test_a_half_without_images_tells_nothing() -> None:
    def one() -> Iterator[PathRows]:
        yield PathRows(NEURONS[:1][:, :, None], TARGETS[:1], CHECKSUMS[:1])

    estimate = read_out(one, num_classes=4, widths=WIDTHS)
    assert estimate.images in (0, 1)
    assert estimate.value != estimate.value or estimate.images == 1
