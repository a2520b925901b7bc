"""Smaller models by several rankings, measured beside the model itself."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn

from nplight.data import ImageBatch
from nplight.neurons import References
from nplight.shrinking.measurements import Accuracy, ModelCost, accuracy, latencies, model_cost, paired_speedup
from nplight.shrinking.rankings import random_scores
from nplight.shrinking.shrink import shrink
from nplight.shrinking.top_share import Across, top_share
from nplight.vit import OpenViT, open_vit

WHOLE = "whole model"
RANDOM = "random"


@dataclass(frozen=True, slots=True)
class ShrinkSettings:
    """How models are made smaller and measured.

    Attributes:
        keep: share of the neurons that are kept, in (0, 1].
        by: the ranking whose model is written.
        shares: further shares at which accuracy is measured, for the figure.
        across: whether the share is of each layer, or of all layers together.
        draws: random models, of which the mean is shown.
        seed: of the random models.
        rounds: of the measurement of latency.
    """

    keep: float
    by: str
    shares: Sequence[float] = (0.1, 0.25, 0.5, 0.75, 0.9)
    across: Across = "layer"
    draws: int = 5
    seed: int = 0
    rounds: int = 15

    @property
    def all_shares(self) -> list[float]:
        """Ascending, each once."""
        return sorted({*self.shares, self.keep})


@dataclass(frozen=True, slots=True)
class ComparedModel:
    """One model of the table.

    Attributes:
        name: of the ranking, or `WHOLE`.
        accuracy: over the held-out images.
        cost: its size.
        milliseconds: median for a batch.
        speedup: how many times as fast as the model itself: median over rounds.
        widths: neurons per layer.
    """

    name: str
    accuracy: Accuracy
    cost: ModelCost
    milliseconds: float
    speedup: float
    widths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ShrinkComparison:
    """What the command shows.

    Attributes:
        settings: of the comparison.
        fill: what stands in the removed neurons.
        batch: images per batch in the measurement of latency.
        models: the model itself, then one per ranking, at the share `keep`.
        curves: ranking -> share -> accuracy.
    """

    settings: ShrinkSettings
    fill: str
    batch: int
    models: Sequence[ComparedModel]
    curves: Mapping[str, Mapping[float, Accuracy]]

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        curves = {
            name: [{"share": share, **asdict(value)} for share, value in points.items()]
            for name, points in self.curves.items()
        }
        return {
            "settings": asdict(self.settings),
            "fill": self.fill,
            "batch": self.batch,
            "models": [asdict(model) for model in self.models],
            "curves": curves,
        }


class Shrinker:
    """Makes a model smaller by a ranking and a share.

    Args:
        vit: the opened model.
        references: the values of the fill, gathered at all tokens; `None` for zeros.
        across: of `top_share`.
    """

    def __init__(self, vit: OpenViT, references: References | None, across: Across) -> None:
        self.vit = vit
        self.fill = "zero" if references is None else references.fill
        self._references = references
        self._across = across

    def model(self, scores: Sequence[Tensor], share: float) -> nn.Module:
        """The smaller model."""
        kept = top_share(scores, share, across=self._across)
        return shrink(self.vit, kept, fill=self.fill, references=self._references)


def compare(
    shrinker: Shrinker,
    rankings: Mapping[str, Sequence[Tensor]],
    batches: Callable[[], Iterable[ImageBatch]],
    settings: ShrinkSettings,
    advance: Callable[[], None] = lambda: None,
) -> ShrinkComparison:
    """Measure smaller models by every ranking, and by random ones, beside the model itself.

    One smaller model is in memory at a time, besides those whose latency is measured.

    Args:
        shrinker: of the model.
        rankings: name -> scores per layer; random ones are added.
        batches: gives the held-out images, with labels, once more.
        settings: of the comparison.
        advance: called after each measured model.
    """
    vit = shrinker.vit

    def measured(scores: Sequence[Tensor], share: float) -> Accuracy:
        value = accuracy(open_vit(shrinker.model(scores, share)), batches())
        advance()
        return value

    whole = accuracy(vit, batches())
    curves = {
        name: {share: measured(scores, share) for share in settings.all_shares} for name, scores in rankings.items()
    }
    draws = [random_scores(vit.widths, settings.seed + draw) for draw in range(settings.draws)]
    curves[RANDOM] = {
        share: Accuracy.over_draws([measured(scores, share) for scores in draws]) for share in settings.all_shares
    }
    images = next(iter(batches())).images
    scores = {**rankings, RANDOM: draws[0]}
    smaller = {name: open_vit(shrinker.model(values, settings.keep)) for name, values in scores.items()}
    seconds = latencies({WHOLE: vit, **smaller}, images, rounds=settings.rounds)

    def row(name: str, model: OpenViT, value: Accuracy) -> ComparedModel:
        return ComparedModel(
            name,
            value,
            model_cost(model, images[:1]),
            1000 * statistics.median(seconds[name]),
            paired_speedup(seconds[WHOLE], seconds[name]),
            model.widths,
        )

    rows = [row(WHOLE, vit, whole)]
    rows += [row(name, model, curves[name][settings.keep]) for name, model in smaller.items()]
    whole_curve = {name: {**points, 1.0: whole} for name, points in curves.items()}
    return ShrinkComparison(settings, shrinker.fill, len(images), rows, whole_curve)


def count_of_models(rankings: int, settings: ShrinkSettings) -> int:
    """How often `compare` calls `advance`: for `rankings` without the random ones."""
    return (rankings + settings.draws) * len(settings.all_shares)
