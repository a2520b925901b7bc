from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nplight.metrics import Replicates, difference, poisson_weights
from nplight.metrics.category_replicates import mean_over_categories, replicates_of_category


def _sums(values: Tensor, labels: Tensor, categories: int, replicates: int) -> tuple[Tensor, Tensor]:
    """Sums and weights of each category, of the images' values."""
    drawn = poisson_weights(torch.arange(len(labels)), replicates=replicates)
    weights = torch.cat([torch.ones(len(labels), 1), drawn], 1).double()
    zeros = torch.zeros(categories, 1 + replicates, dtype=torch.float64)
    return zeros.index_add(0, labels, values[:, None] * weights), zeros.index_add(0, labels, weights)


def _drawn(categories: int, images: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """0-or-1 values and labels of images."""
    draw = torch.Generator().manual_seed(seed)
    shares = torch.rand(categories, generator=draw)
    labels = torch.arange(categories).repeat_interleave(images)
    return torch.bernoulli(shares[labels], generator=draw).double(), labels


def test_a_few_categories_have_all_replicates_as_they_are() -> None:
    values, labels = _drawn(10, 3)
    stored = replicates_of_category(1000, 10)
    sums, weights = _sums(values, labels, 10, stored)
    assert stored == 1000
    torch.testing.assert_close(mean_over_categories(sums, weights, 1000), (sums / weights).nanmean(0))
    # Some category has no image in some replicate.
    assert (weights == 0).any()


def test_many_categories_combine_their_replicates_one_by_one() -> None:
    values, labels = _drawn(7, 3)
    sums, weights = _sums(values, labels, 7, 5)
    found = mean_over_categories(sums, weights, 13).tolist()
    means = (sums / weights).tolist()
    for number in range(13):
        places = [1 + (number % 5 + number // 5 * category) % 5 for category in range(7)]
        known = [row[place] for row, place in zip(means, places) if row[place] == row[place]]
        assert found[1 + number] == pytest.approx(sum(known) / len(known))
    assert found[0] == pytest.approx(sum(row[0] for row in means) / 7)


def test_the_variance_is_that_of_all_replicates_and_of_the_categories() -> None:
    values, labels = _drawn(1000, 4)
    stored = replicates_of_category(1000, 1000)
    assert stored == 64
    sums, weights = _sums(values, labels, 1000, 1000)
    bounded = mean_over_categories(sums[:, : 1 + stored], weights[:, : 1 + stored], 1000)
    whole = (sums / weights).nanmean(0)
    assert bounded[0] == whole[0]
    # The variance of 1,000 replicates has a standard error of 4.5%, that of a ratio 6.3%.
    assert bounded[1:].var().item() == pytest.approx(whole[1:].var().item(), rel=0.2)
    assert bounded[1:].mean().item() == pytest.approx(whole[1:].mean().item(), abs=3 * whole[1:].std().item() / 30)


def test_a_paired_difference_stays_paired() -> None:
    values, labels = _drawn(1000, 8)
    other = values.roll(1)
    (sums, weights), (others, _) = (_sums(of, labels, 1000, 64) for of in (values, other))
    first, second = (mean_over_categories(total, weights, 1000) for total in (sums, others))
    torch.testing.assert_close(first - second, mean_over_categories(sums - others, weights, 1000))
    equal = torch.where(torch.arange(len(values)) < 8, other, values)
    narrow = mean_over_categories(_sums(equal, labels, 1000, 64)[0], weights, 1000) - first
    assert narrow[1:].std() < first[1:].std() / 5


def test_the_lead_in_macro_accuracy_over_many_categories_covers_the_truth() -> None:
    """Two methods on eight images of each of 1,000 categories, which are more or less difficult to both."""
    categories, images, lead, samples = 1000, 8, 0.02, 100
    stored = replicates_of_category(200, categories)
    draw = torch.Generator().manual_seed(0)
    shares = 0.3 + 0.6 * torch.rand(categories, 1, generator=draw)
    labels = torch.arange(categories).repeat_interleave(images)
    _, weights = _sums(torch.zeros(len(labels)), labels, categories, stored)
    keyed = torch.cat([torch.ones(len(labels), 1), poisson_weights(torch.arange(len(labels)), replicates=stored)], 1)
    keyed = keyed.view(categories, images, -1)
    covered, widths = 0, []
    for _ in range(samples):
        chance = torch.rand(categories, images, generator=draw)
        rights = [(chance < shares + lead).float(), (1 - chance < shares).float()]
        first, second = (
            Replicates(
                mean_over_categories(torch.einsum("ci,cir->cr", right, keyed), weights, 200),
                torch.tensor(categories * images),
                interval="share",
            )
            for right in rights
        )
        found = difference(first, second)
        covered += found.low <= lead <= found.high
        widths.append(found.high - found.low)
    # Of 100 samples the share varies by 2.2 points.
    assert covered / samples >= 0.9
    assert max(widths) < 0.05


def test_without_replicates_there_is_the_mean_alone() -> None:
    values, labels = _drawn(3, 2)
    sums, weights = _sums(values, labels, 3, 0)
    assert mean_over_categories(sums, weights, 0).tolist() == pytest.approx([values.mean().item()])


def test_the_stored_replicates_are_bounded() -> None:
    assert [replicates_of_category(1000, categories) for categories in (1, 64, 100, 1000, 21_843)] == [
        1000,
        1000,
        640,
        64,
        16,
    ]
    assert replicates_of_category(10, 1000) == 10
