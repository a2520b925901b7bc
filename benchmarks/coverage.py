"""How often the 95% intervals of `nplight.metrics` cover the truth, and a verdict is wrong, by simulation.

python -m benchmarks.coverage --output benchmarks/results/coverage.json
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import rich
import torch
from jsonargparse import auto_cli
from rich.table import Table
from torch import Generator, Tensor
from torch.nn.functional import cosine_similarity, one_hot

from nplight.metrics import (
    Estimate,
    Interval,
    Replicates,
    difference,
    estimate,
    holm_below,
    mean_share,
    pair_similarity,
    poisson_weights,
)
from nplight.metrics.random_draws import draw_spread, residual_variance
from nplight.results.claims import KEPT_WITHIN

IMAGES, DRAWS, REPLICATES = 143, 20, 500


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often intervals cover the truth.

    Attributes:
        name: what is measured.
        images: in a sample.
        covered: share of the samples whose interval holds the truth.
        above: share whose interval is above the truth.
        below: share whose interval is below it.
        normal: `covered` of the normal interval, mean ± 1.96 standard errors; of cosines that of the percentiles of
            cosines with self-pairs.
    """

    name: str
    images: int
    covered: float
    above: float
    below: float
    normal: float


@dataclass(frozen=True, slots=True)
class Setting:
    """A population and what is measured of samples from it.

    Attributes:
        name: what is measured.
        interval: the kind of an image's value, a row of `INTERVALS`.
        draw: generator, samples, images -> values (samples, images), of a control (draws, samples, images), and the
            true mean of each sample's population, (samples,); of a paired difference also the second values.
        images: in a sample.
    """

    name: str
    interval: Interval
    draw: Callable[[Generator, int, int], Sequence[Tensor]]
    images: int = IMAGES


def coverage(setting: Setting, samples: int, *, seed: int = 0) -> Coverage:
    """Simulate one setting."""
    generator = torch.Generator().manual_seed(seed)
    truth, *measured = setting.draw(generator, samples, setting.images)
    replicates = [replicates_of(values, setting.interval) for values in measured]
    whole = measured[0].mean(0) if measured[0].ndim == 3 else measured[0]
    if len(measured) == 2:
        whole = whole - (measured[1].mean(0) if measured[1].ndim == 3 else measured[1])
    estimates = [
        difference(*(one.of(sample) for one in replicates))
        if len(replicates) == 2
        else estimate(replicates[0].of(sample))
        for sample in range(samples)
    ]
    low, high = (torch.tensor([getattr(one, end) for one in estimates], dtype=torch.float64) for end in ("low", "high"))
    half = 1.96 * whole.std(1) / setting.images**0.5
    normal = ((whole.mean(1) - truth).abs() <= half).double().mean().item()
    above, below = ((low > truth).double().mean().item(), (high < truth).double().mean().item())
    return Coverage(setting.name, setting.images, 1 - above - below, above, below, normal)


def replicates_of(values: Tensor, interval: Interval) -> Replicates:
    """What `ConditionMetrics` computes of each sample: values (samples, images), or (draws, samples, images)."""
    drawn = values[None] if values.ndim == 2 else values
    means, images = drawn.mean(0), values.shape[-1]
    weights = poisson_weights(torch.arange(images), replicates=REPLICATES).double()
    columns = torch.cat([means.mean(1, keepdim=True), means @ weights / weights.sum(0)], 1)
    variance = means.var(1, correction=0) / images
    if len(drawn) > 1:
        draw_means, count = drawn.mean(2), torch.tensor(float(images))
        residual = residual_variance(drawn.square().sum((0, 2)), means.square().sum(1), draw_means, count)
        spread = draw_spread(draw_means, residual, replicates=REPLICATES)
        columns[:, 1:] += spread.deviations
        variance = variance + spread.variance
    exact = variance if interval in ("share", "change") else None
    return Replicates(columns, torch.full((len(means),), images), exact, interval)


def uniform(generator: Generator, *shape: int) -> Tensor:
    """Uniform in [0, 1)."""
    return torch.rand(shape, generator=generator, dtype=torch.float64)


def normal(generator: Generator, *shape: int) -> Tensor:
    """Standard normal."""
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def share(low: float, high: float) -> Callable[[Generator, int, int], Sequence[Tensor]]:
    """Accuracies drawn between two bounds."""

    def draw(generator: Generator, samples: int, images: int) -> Sequence[Tensor]:
        truth = low + (high - low) * uniform(generator, samples)
        return truth, (uniform(generator, samples, images) < truth[:, None]).double()

    return draw


def change(most: float) -> Callable[[Generator, int, int], Sequence[Tensor]]:
    """Shares of losses and gains drawn below a bound: a change of accuracy, measured before and after."""

    def draw(generator: Generator, samples: int, images: int) -> Sequence[Tensor]:
        lost, gained = most * uniform(generator, 2, samples)
        chance = uniform(generator, samples, images)
        losses, gains = chance < lost[:, None], chance > 1 - gained[:, None]
        return gained - lost, gains.double() - losses.double()

    return draw


def lead(most: float) -> Callable[[Generator, int, int], Sequence[Tensor]]:
    """The accuracies of two methods on the same images."""

    def draw(generator: Generator, samples: int, images: int) -> Sequence[Tensor]:
        truth, changes = change(most)(generator, samples, images)
        return truth, (changes >= 0).double(), (changes <= 0).double()

    return draw


def control(spread: float, level: float) -> Callable[[Generator, int, int], Sequence[Tensor]]:
    """A control's accuracy: logits of images (sd 2), of draws (`spread`) and of both (sd 1)."""

    def draw(generator: Generator, samples: int, images: int) -> Sequence[Tensor]:
        image, both = 2 * normal(generator, samples, images), normal(generator, DRAWS, samples, images)
        logits = level + image + spread * normal(generator, DRAWS, samples, 1) + both
        population = level + (4 + spread**2 + 1) ** 0.5 * normal(generator, 1_000_000)
        return (population > 0).double().mean().expand(samples), (logits > 0).double()

    return draw


def lead_over_control(spread: float, level: float) -> Callable[[Generator, int, int], Sequence[Tensor]]:
    """A method's accuracy against a control's, on images that are as difficult to both."""

    def draw(generator: Generator, samples: int, images: int) -> Sequence[Tensor]:
        def rights(image: Tensor, draws: int) -> tuple[Tensor, Tensor]:
            method = level + 1 + image + normal(generator, *image.shape)
            drawn = spread * normal(generator, draws, len(image), 1) + normal(generator, draws, *image.shape)
            return (method > 0).double(), (level + image + drawn > 0).double()

        population = [rights_.mean() for rights_ in rights(2 * normal(generator, 1_000_000, 1), 1)]
        return (population[0] - population[1]).expand(samples), *rights(2 * normal(generator, samples, images), DRAWS)

    return draw


def probabilities(generator: Generator, samples: int, images: int) -> tuple[Tensor, Tensor, Tensor]:
    """Clean, with a path removed, and with another removed."""
    logits = 4 + 2 * normal(generator, samples, images)
    losses = 0.6 * normal(generator, 2, samples, images).abs() * -uniform(generator, 2, samples, images).log()
    clean, first, second = (logit.sigmoid() for logit in (logits, *(logits - losses)))
    return clean, first, second


def of_probabilities(
    measure: Callable[[Tensor, Tensor, Tensor], Sequence[Tensor]],
) -> Callable[[Generator, int, int], Sequence[Tensor]]:
    """Means of values of probabilities, and the difference of two."""

    def draw(generator: Generator, samples: int, images: int) -> Sequence[Tensor]:
        population = [values.mean() for values in measure(*probabilities(generator, 1, 1_000_000))]
        truth = population[0] - population[1] if len(population) == 2 else population[0]
        return truth.expand(samples), *measure(*probabilities(generator, samples, images))

    return draw


SETTINGS: tuple[Setting, ...] = (
    Setting("accuracy, 0.993", "share", share(0.993, 0.993)),
    Setting("accuracy, 0.97 to 0.999", "share", share(0.97, 0.999)),
    Setting("accuracy, 0.6 to 0.95", "share", share(0.6, 0.95)),
    Setting("change of accuracy, below 2 points either way", "change", change(0.02)),
    Setting("change of accuracy, below 20 points either way", "change", change(0.2)),
    Setting("accuracies of two methods, below 2 points apart", "share", lead(0.02)),
    Setting("accuracies of two methods, below 20 points apart", "share", lead(0.2)),
    Setting("accuracy of 20 random draws, near 0.95", "share", control(0.5, 4.0)),
    Setting("accuracy of 20 random draws that differ, near 0.8", "share", control(2.0, 2.5)),
    Setting("accuracy less that of 20 random draws", "share", lead_over_control(1.0, 2.5)),
    Setting("probability", "fraction", of_probabilities(lambda clean, first, second: (first,))),
    Setting("probabilities of two methods", "fraction", of_probabilities(lambda clean, first, second: (first, second))),
    Setting("relative change", "mean", of_probabilities(lambda clean, first, second: (first / clean - 1,))),
    Setting(
        "relative changes of two methods",
        "mean",
        of_probabilities(lambda clean, first, second: (first / clean, second / clean)),
    ),
)

MEAN_SHARES = (0.02, 0.3, 0.9)


def cosine_coverage(samples: int, images: int = 40, *, seed: int = 0) -> Coverage:
    """The cosine of two categories' frequency maps, 6 layers of 16 neurons, each with a distribution of its own."""
    generator = torch.Generator().manual_seed(seed)
    frequency = (2 * normal(generator, 2, 6, 16)).softmax(2)
    first, second = frequency.flatten(1)
    truth = (first @ second / (first.norm() * second.norm())).item()
    above = below = with_itself = 0
    for _ in range(samples):
        drawn = torch.multinomial(frequency.flatten(0, 1), images, True, generator=generator)
        neurons = drawn.view(2, 6, images).movedim(2, 1)[..., None]
        keys = torch.arange(2 * images)
        paths = (neurons[0], neurons[1])
        found = estimate(pair_similarity(paths, (keys[:images], keys[images:]), replicates=REPLICATES))
        above, below = above + (found.low > truth), below + (found.high < truth)
        # Maps over all pairs, an image with itself among them, and percentiles of resampled images.
        maps = one_hot(neurons[..., 0], 16).double().flatten(2)
        again = torch.randint(images, (2, 200, images), generator=generator)
        resampled = torch.stack([maps[category][again[category]].mean(1) for category in range(2)])
        low, high = cosine_similarity(*resampled).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
        with_itself += bool(low <= truth <= high)
    return Coverage(
        "cosine of two categories",
        images,
        1 - (above + below) / samples,
        above / samples,
        below / samples,
        with_itself / samples,
    )


def mean_share_coverage(truth: float, samples: int, images: int = 20, neurons: int = 6, *, seed: int = 0) -> Coverage:
    """The mean share of a path's neurons that stay, which rise and fall together within an image (beta-binomial)."""
    generator = np.random.default_rng(seed)
    rates = generator.beta(4 * truth, 4 * (1 - truth), (samples, images, 1))
    shares = torch.from_numpy((generator.random((samples, images, neurons)) < rates).mean(2))
    estimates = [mean_share(of_sample, neurons) for of_sample in shares]
    above = sum(one.low > truth for one in estimates) / samples
    below = sum(one.high < truth for one in estimates) / samples
    half = 1.96 * shares.std(1) / images**0.5
    normal = ((shares.mean(1) - truth).abs() <= half).double().mean().item()
    return Coverage(f"share of {neurons} neurons, {truth:g}", images, 1 - above - below, above, below, normal)


@dataclass(frozen=True, slots=True)
class WrongVerdict:
    """How often a verdict is wrong at the margin.

    Attributes:
        name: the claim, and where the truth is.
        images: in a sample.
        wrong: share of the samples.
        normal: the same by the normal interval.
    """

    name: str
    images: int
    wrong: float
    normal: float


def wrongly_kept(images: int, samples: int, *, seed: int = 0) -> WrongVerdict:
    """Accuracy falls by just the margin: how often it is `held` to be kept."""
    generator = torch.Generator().manual_seed(seed)
    lost = 0.5 * KEPT_WITHIN + 0.02 * uniform(generator, samples)
    lost, gained = (lost + KEPT_WITHIN).clamp(min=KEPT_WITHIN), lost
    chance = uniform(generator, samples, images)
    changes = (chance > 1 - gained[:, None]).double() - (chance < lost[:, None]).double()
    replicates = replicates_of(changes, "change")
    held = sum(estimate(replicates.of(sample)).low > -KEPT_WITHIN for sample in range(samples)) / samples
    low = changes.mean(1) - 1.96 * changes.std(1) / images**0.5
    return WrongVerdict("kept, at the margin", images, held, (low > -KEPT_WITHIN).double().mean().item())


def wrongly_ahead(
    rivals: int, samples: int, images: int = IMAGES, *, seed: int = 0
) -> tuple[WrongVerdict, WrongVerdict]:
    """All methods are equal: how often the first is `held` to be ahead of all, and how often `not held`."""
    generator = torch.Generator().manual_seed(seed)
    effect = -uniform(generator, samples, images).log()
    methods = [effect + 0.5 * normal(generator, samples, images) for _ in range(1 + rivals)]
    first, *others = (replicates_of(values, "mean") for values in methods)
    held = behind = normal_behind = 0
    for sample in range(samples):

        def lead_at(rival: str, level: float, sample: int = sample) -> Estimate:
            return difference(first.of(sample), others[int(rival)].of(sample), level=level)

        leads = [lead_at(str(rival), 0.95) for rival in range(rivals)]
        held += all(one.low > 0 for one in leads)
        behind += bool(holm_below([str(rival) for rival in range(rivals)], lead_at))
        normal_behind += any(one.high < 0 for one in leads)
    return (
        WrongVerdict(f"ahead of {rivals} equal rivals", images, held / samples, held / samples),
        WrongVerdict(f"behind one of {rivals} equal rivals", images, behind / samples, normal_behind / samples),
    )


def verdicts(samples: int) -> Iterator[WrongVerdict]:
    """Every claim at its margin."""
    for images in (IMAGES, 500, 2000):
        yield wrongly_kept(images, samples)
    for rivals in (1, 10):
        yield from wrongly_ahead(rivals, samples)


def main(samples: int = 2000, output: str | None = None) -> None:
    """Simulate, print two tables and, with `output`, write JSON.

    Args:
        samples: per setting; a tenth of it for cosines.
        output: a JSON file for the figures.
    """
    covers, wrongs = [coverage(setting, samples) for setting in SETTINGS], list(verdicts(samples))
    covers += [mean_share_coverage(share, samples) for share in MEAN_SHARES]
    covers.append(cosine_coverage(samples // 10))
    rich.print(_table("covered", covers), _table("wrong", wrongs))
    if output is not None:
        found = {
            "samples": samples,
            "coverage": [asdict(row) for row in covers],
            "verdicts": [asdict(row) for row in wrongs],
        }
        Path(output).write_text(json.dumps(found, indent=1) + "\n")


def _table(title: str, rows: Sequence[Coverage | WrongVerdict]) -> Table:
    table = Table(*asdict(rows[0]), title=title)
    for row in rows:
        table.add_row(*(f"{value:.1%}" if isinstance(value, float) else str(value) for value in asdict(row).values()))
    return table


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
