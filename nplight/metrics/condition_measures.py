"""All measures under all conditions, with replicates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nplight.attribution import check_objective
from nplight.errors import ArgumentError, NonFiniteError, check_at_least
from nplight.metrics.bootstrap import BootstrapMetric
from nplight.metrics.category_replicates import mean_over_categories, replicates_of_category
from nplight.metrics.objective_measures import measures_of
from nplight.metrics.predicted_batch import PredictedBatch
from nplight.metrics.random_draws import draw_spread, residual_variance
from nplight.metrics.replicates import Replicates


class CategoryMeans(NamedTuple):
    """The mean of each category, without replicates.

    Attributes:
        values: (…, categories) float64; NaN for a category without images.
        images: (…, categories) int64, number of images of each mean.

    Examples:
        >>> import torch
        >>> from nplight.metrics import Condition, ConditionMetrics
        >>> metrics = ConditionMetrics([Condition("clean")], num_classes=2)
        >>> metrics.update([torch.tensor([[0.75, 0.25], [0.5, 0.5]])], torch.tensor([0, 0]), torch.tensor([0, 1]))
        >>> means = metrics.by_category("probability")
        >>> means.values.tolist(), means.images.tolist()
        ([[0.625, nan]], [[2, 0]])
    """

    values: Tensor
    images: Tensor


class MeasuredConditions(NamedTuple):
    """All measures under all conditions, measures in the order of `measures_of`.

    Attributes:
        replicates: values (conditions, measures, 1 + replicates), images and variance (conditions, measures).
        categories: values and images (conditions, measures, categories).
    """

    replicates: Replicates
    categories: CategoryMeans


class ConditionMeasures(BootstrapMetric):
    """All measures of `measures_of` under all conditions.

    A mean over categories is taken over the categories with images. torchmetrics' macro accuracy also counts a category
    without images, as 0, once an image is classified as it, so that conditions would average over different categories.

    Of a control, an image's value is its mean over the random draws. Its replicates weight the images by their keys, as
    those of every method, so that differences stay paired. The spread of the draws is added to them (`DrawSpread`).

    The state of a measure over categories is conditions x categories x (1 + replicates of a category) float32, of which
    there are at most 64,000 over all categories (`replicates_of_category`): 12 MB for 43 conditions and 1,000
    categories. That of the means of the categories is 3 x conditions x measures x categories float64, 5 MB for
    43 x 5 x 1,000; that of the draws of a measure over categories draws x conditions x categories, 7 MB for
    20 x 43 x 1,000.

    Args:
        conditions: number of conditions.
        clean: position of the unedited condition.
        num_classes: number of categories.
        draws: number of random draws of each condition; 1 for a method that draws nothing.
        objectives: of the searches of the run, whose measures are added.
        **kwargs: `replicates`, `seed`, and those of torchmetrics' `Metric`.
    """

    sums: Tensor
    tested: Tensor
    moments: Tensor
    drawn: Tensor
    drawn_squares: Tensor
    drawn_by_category: Tensor

    def __init__(
        self,
        conditions: int,
        clean: int,
        num_classes: int,
        *,
        draws: int = 1,
        objectives: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        check_at_least("draws", draws, 1)
        for objective in objectives:
            check_objective(objective, num_classes)
        measures = tuple(measures_of(objectives).values())
        over_images = [number for number, measure in enumerate(measures) if measure.over == "images"]
        over_categories = [number for number, measure in enumerate(measures) if measure.over == "categories"]
        super().__init__((conditions, len(over_images)), **kwargs)
        self.clean, self.draws, self.measures = clean, draws, measures
        self._over_images, self._over_categories = over_images, over_categories
        stored = replicates_of_category(self.replicates, num_classes)
        # torchmetrics keeps a second copy of every default, so the states start as a single 0 until there are images.
        self._shapes = {
            "sums": (len(over_categories), conditions, num_classes, 1 + stored),
            "tested": (num_classes, 1 + stored),
            "moments": (3, conditions, len(measures), num_classes),
            "drawn": (draws, conditions, len(over_images)),
            "drawn_squares": (conditions, len(over_images)),
            "drawn_by_category": (draws, conditions, len(over_categories), num_classes),
        }
        for name in self._shapes:
            dtype = torch.float32 if name in ("sums", "tested") else torch.float64
            self.add_state(name, torch.zeros((), dtype=dtype), dist_reduce_fx="sum")

    def update(
        self, per_draw: Iterable[Sequence[Tensor]], labels: Tensor, keys: Tensor, *, logits: bool = False
    ) -> None:
        """Add images.

        Args:
            per_draw: for each draw, per condition (images, categories); one draw is held at a time.
            labels: (images,) int64.
            keys: (images,) int64.
            logits: whether `per_draw` has logits, which the measures of objectives need, and not probabilities.

        Raises:
            NonFiniteError: a label's probability, or another objective, is NaN or infinite.
            ArgumentError: another number of draws than `draws`, probabilities where an objective needs logits, or
                `keys` has another dtype or length.
        """
        predicted = PredictedBatch.of_logits if logits else PredictedBatch.of
        drawn = torch.stack([self._values(predicted(scores, labels, self.clean)) for scores in per_draw])
        if len(drawn) != self.draws:
            raise ArgumentError(f"`per_draw` must yield {self.draws} draws, as many as `draws`, got {len(drawn)}")
        values, weights = drawn.mean(0), self.weights(keys)
        self.add(values[..., self._over_images], weights)
        self._grow()
        self._add_to_categories(values, labels)
        self._add_to_replicates(drawn.sum(0), labels, weights.float())
        if self.draws > 1:
            self._add_draws(drawn, values.isnan(), labels)

    def _values(self, batch: PredictedBatch) -> Tensor:
        """(images, conditions, measures) float64."""
        non_finite = (~batch.probability.isfinite()).any(1).nonzero().flatten().tolist()
        if non_finite:
            raise NonFiniteError("the model gave NaN or infinite probabilities under an edit", non_finite)
        return torch.stack([measure.per_image(batch).double() for measure in self.measures], 2)

    def _add_to_categories(self, values: Tensor, labels: Tensor) -> None:
        missing = values.isnan()
        known = values.masked_fill(missing, 0)
        for moment, part in zip(self.moments, ((~missing).double(), known, known.square())):
            moment.index_add_(2, labels, part.movedim(0, 2))

    def _add_to_replicates(self, values: Tensor, labels: Tensor, counts: Tensor) -> None:
        """The measures over categories: values (images, conditions, measures), summed over draws; counts as `weights`.

        The sums of 0-or-1 values are integers and therefore exact in float32.
        """
        counts = counts[:, : self.tested.shape[1]]
        self.tested.index_add_(0, labels, counts)
        for sums, number in zip(self.sums, self._over_categories):
            for total, column in zip(sums, values[..., number].float().unbind(1)):
                total.index_add_(0, labels, column[:, None] * counts)

    def _add_draws(self, drawn: Tensor, missing: Tensor, labels: Tensor) -> None:
        # An image without a value under one draw has no mean over the draws, and counts under none.
        known = drawn.masked_fill(missing, 0)
        self.drawn += known[..., self._over_images].sum(1)
        self.drawn_squares += known[..., self._over_images].square().sum((0, 1))
        self.drawn_by_category.index_add_(3, labels, known[..., self._over_categories].movedim(1, 3))

    def compute(self) -> MeasuredConditions:
        """All measures under all conditions; NaN without images."""
        self._grow()
        counts, totals, _ = self.moments
        over_images = self._means_over_images()
        columns = {number: over_images.of((slice(None), at)) for at, number in enumerate(self._over_images)}
        for at, number in enumerate(self._over_categories):
            columns[number] = self._means_over_categories(at, number)
        parts = zip(*(columns[number][:3] for number in range(len(self.measures))))
        values, images, variance = (torch.stack(part, 1) for part in parts)
        replicates = Replicates(values, images, variance)
        return MeasuredConditions(replicates, CategoryMeans(totals / counts, counts.long()))

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """As in torchmetrics, which calls it before each `compute`; without images the state is all zeros."""
        self._grow()
        super().sync(*args, **kwargs)

    def _means_over_images(self) -> Replicates:
        """Values (conditions, measures over images, 1 + replicates)."""
        means = self.means()
        images, _, squares = self.moments[:, :, self._over_images].sum(-1)
        variance = (squares / images - means.values[..., 0].square()).clamp(min=0) / images
        if self.draws > 1:
            draw_means = self.drawn / images
            residual = residual_variance(self.drawn_squares, squares, draw_means, images)
            means, variance = self._with_spread(means, variance, draw_means, residual)
        return means._replace(variance=variance)

    def _means_over_categories(self, at: int, number: int) -> Replicates:
        """Values (conditions, 1 + replicates) of the measure of this number, the mean of the categories' means.

        Of shares, `images` is the number of images that would determine the mean as well if all had equal weights.
        """
        images, totals, squares = self.moments[:, :, number]
        # One condition at a time: the quotients of all conditions would need as much memory as the state.
        of_draws = [mean_over_categories(total, self.tested, self.replicates) for total in self.sums[at]]
        values = torch.stack(of_draws) / self.draws
        means, categories = totals / images, (images > 0).sum(-1)
        variance = ((squares / images - means.square()).clamp(min=0) / images).nansum(-1) / categories.square()
        effective = categories.square() / torch.where(images > 0, 1 / images, 0.0).sum(-1)
        of_shares = self.measures[number].interval == "share"
        result = Replicates(values, (effective.nan_to_num().floor() if of_shares else images.sum(-1)).long())
        if self.draws > 1:
            draw_means = (self.drawn_by_category[:, :, at] / images).nanmean(-1)
            result, variance = self._with_spread(result, variance, draw_means, 0.0)
        else:
            # A category with a single image, or without errors, seems to have no variance.
            variance = torch.maximum(variance, values[:, 0] * (1 - values[:, 0]) / effective)
        return result._replace(variance=variance)

    def _with_spread(
        self, means: Replicates, variance: Tensor, draw_means: Tensor, residual: Tensor | float
    ) -> tuple[Replicates, Tensor]:
        """The replicates and variance of an average over random draws."""
        spread = draw_spread(draw_means, residual, replicates=self.replicates, seed=self.seed)
        values = torch.cat([means.values[..., :1], means.values[..., 1:] + spread.deviations], -1)
        return means._replace(values=values), variance + spread.variance

    def _grow(self) -> None:
        if self.tested.ndim == 0:
            # A tensor made under inference mode could not be updated outside it.
            with torch.inference_mode(False):
                for name, shape in self._shapes.items():
                    if self.draws > 1 or "drawn" not in name:
                        setattr(self, name, getattr(self, name).new_zeros(shape))
