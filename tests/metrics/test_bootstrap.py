from __future__ import annotations

import math

import pytest
import torch

from nplight.errors import ArgumentError
from nplight.metrics import BootstrapMean, Estimate, estimate, poisson_weights

MASK = (1 << 64) - 1
KEYS = torch.tensor([0, 1, 2, 3, -7, 123_456_789_012, (1 << 63) - 1, -(1 << 63)])


def mixed(state: int) -> int:
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB & MASK
    return state ^ (state >> 31)


def split_mix(state: int, count: int) -> list[int]:
    return [mixed((state + step * 0x9E3779B97F4A7C15) & MASK) for step in range(1, count + 1)]


def poisson(uniform: float) -> int:
    """Inverse of the distribution function of Poisson(1)."""
    weight, below = 0, math.exp(-1)
    while uniform >= below:
        weight += 1
        below += math.exp(-1) / math.factorial(weight)
    return weight


def test_the_oracle_is_the_published_generator() -> None:
    assert split_mix(1234567, 3) == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("seed", [0, 1, 2**63 + 5])
def test_weights_are_those_of_a_plain_generator_for_each_image(seed: int) -> None:
    found = poisson_weights(KEYS, replicates=200, seed=seed)
    for key, weights in zip(KEYS.tolist(), found.tolist()):
        outputs = split_mix(mixed((key & MASK) ^ mixed(seed)), 200)
        assert weights == [poisson((output >> 11) / 2**53) for output in outputs]


def test_weights_are_poisson_and_uncorrelated_between_images_replicates_and_seeds() -> None:
    weights = poisson_weights(torch.arange(2000), replicates=500)
    share = torch.bincount(weights.flatten(), minlength=6)[:6] / weights.numel()
    expected = torch.tensor([math.exp(-1) / math.factorial(k) for k in range(6)])
    torch.testing.assert_close(share, expected, atol=2e-3, rtol=0)
    images = weights.double()
    noise = 5 / math.sqrt(2000)
    assert (images[:, :50].T.corrcoef() - torch.eye(50)).abs().max() < noise
    assert (images[:50].corrcoef() - torch.eye(50)).abs().max() < 5 / math.sqrt(500)
    other = poisson_weights(torch.arange(2000), replicates=500, seed=1).double()
    pair = torch.stack([images.flatten(), other.flatten()])
    assert pair.corrcoef()[0, 1].abs() < 5 / math.sqrt(1e6)


def test_weights_depend_on_the_image_alone() -> None:
    whole = poisson_weights(KEYS, replicates=30)
    assert torch.equal(poisson_weights(KEYS[[5, 2]], replicates=30), whole[[5, 2]])
    assert torch.equal(poisson_weights(KEYS, replicates=10), whole[:, :10])
    assert poisson_weights(KEYS[:0]).shape == (0, 1000)
    assert poisson_weights(KEYS, replicates=0).shape == (8, 0)


def test_wrong_keys_are_refused() -> None:
    for keys in (KEYS.int(), KEYS[None]):
        with pytest.raises(ArgumentError, match=r"`keys` must be \(images,\) int64, got"):
            poisson_weights(keys)
    with pytest.raises(ArgumentError, match="`replicates` must be an integer of at least 0, got -1"):
        poisson_weights(KEYS, replicates=-1)


def test_the_mean_and_its_replicates_are_those_computed_by_hand() -> None:
    values = torch.tensor([1.0, 4.0, torch.nan, 2.0, 5.0])
    metric = BootstrapMean(replicates=40, seed=2)
    for part in (slice(0, 1), slice(1, 5)):
        metric.update(values[part], KEYS[:5][part])
    found = metric.compute()
    kept = [0, 1, 3, 4]
    weights = poisson_weights(KEYS[:5], replicates=40, seed=2)[kept].double()
    assert (found.values[0].item(), found.images.item()) == (3.0, 4)
    torch.testing.assert_close(found.values[1:], (values[kept].double() @ weights) / weights.sum(0), equal_nan=True)


def test_several_figures_are_as_good_as_one_metric_each() -> None:
    values = torch.randn(8, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values[1, 0, 2] = torch.nan
    together = BootstrapMean((2, 3), replicates=10)
    together.update(values, KEYS)
    for i in range(2):
        for j in range(3):
            alone = BootstrapMean(replicates=10)
            alone.update(values[:, i, j], KEYS)
            torch.testing.assert_close(together.compute().of((i, j))[:2], alone.compute()[:2], equal_nan=True)


def test_split_over_processes_the_mean_is_the_same() -> None:
    values = torch.rand(8, generator=torch.Generator().manual_seed(0))
    whole, first, second = (BootstrapMean(replicates=100) for _ in range(3))
    whole.update(values, KEYS)
    first.update(values[3:4], KEYS[3:4])
    rest = [7, 0, 1, 2, 4, 5, 6]
    second.update(values[rest], KEYS[rest])
    first.merge_state(second)
    torch.testing.assert_close(first.compute()[:2], whole.compute()[:2], rtol=1e-12, atol=0, equal_nan=True)


def test_no_images_have_no_mean_and_one_image_has_no_interval() -> None:
    metric = BootstrapMean(replicates=10)
    metric.update(torch.empty(0), KEYS[:0])
    nothing = estimate(metric.compute())
    assert nothing.images == 0
    assert all(math.isnan(number) for number in (nothing.value, nothing.low, nothing.high))
    metric.update(torch.tensor([0.25]), KEYS[:1])
    one = estimate(metric.compute())
    assert one == Estimate(0.25, math.nan, math.nan, 1)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    draw = torch.Generator().manual_seed(0)
    samples = torch.randn(200, 100, generator=draw, dtype=torch.float64)
    covered = 0
    for start, sample in enumerate(samples):
        metric = BootstrapMean(replicates=300)
        metric.update(sample, torch.arange(100) + 100 * start)
        found = estimate(metric.compute())
        covered += found.low < 0 < found.high
    assert 0.90 <= covered / 200 <= 0.98
