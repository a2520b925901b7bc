from __future__ import annotations

import pytest
import torch
from scipy.stats import norm, t

from nplight.metrics.random_draws import draw_spread, residual_variance


def test_draws_that_are_alike_have_no_spread() -> None:
    spread = draw_spread(torch.full((4, 3), 0.25, dtype=torch.float64), replicates=10)
    assert spread.deviations.tolist() == [[0.0] * 10] * 3
    assert spread.variance.tolist() == [0.0] * 3


def test_the_replicates_have_the_variance_of_the_mean_of_draws() -> None:
    means = torch.randn(20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    spread = draw_spread(means, replicates=4000)
    # Student's quantile, for 20 draws tell little of their variance.
    expected = means.var().item() / 20 * (t.ppf(0.975, 19) / norm.ppf(0.975)) ** 2
    assert spread.variance.item() == pytest.approx(expected)
    assert spread.deviations.var().item() == pytest.approx(expected, rel=0.1)


def test_the_weights_are_of_the_number_of_the_draw_and_the_seed() -> None:
    means = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    one, other = (draw_spread(means[:, column], replicates=5) for column in (0, 1))
    torch.testing.assert_close(draw_spread(means, replicates=5).deviations, torch.stack([one[0], other[0]]))
    assert not torch.equal(one.deviations, draw_spread(means[:, 0], replicates=5, seed=1).deviations)


def test_what_is_due_to_the_images_within_a_draw_is_not_counted_again() -> None:
    generator = torch.Generator().manual_seed(1)
    images, draws = 2000, 40
    values = torch.randn(1, images, generator=generator, dtype=torch.float64)
    values = values + 0.1 * torch.randn(draws, 1, generator=generator, dtype=torch.float64)
    values = values + 3 * torch.randn(draws, images, generator=generator, dtype=torch.float64)
    means = values.mean(1)
    residual = residual_variance(
        values.square().sum(), values.mean(0).square().sum(), means, torch.tensor(float(images))
    )
    # Of interaction and noise alone: 3² over the images.
    assert residual.item() == pytest.approx(9 / images, rel=0.05)
    plain = draw_spread(means, replicates=0).variance
    assert draw_spread(means, residual, replicates=0).variance / plain == pytest.approx(
        (1 - residual / means.var()).item()
    )
    assert draw_spread(means, 1e6, replicates=3).deviations.tolist() == [0.0] * 3
