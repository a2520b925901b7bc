"""How well words agree with neurons over images: correlations, beside those that the words of other images give.

After CLIP-Dissect (Oikarinen & Weng 2023), which names a neuron by the word whose values over images agree best with
those of the neuron. Its soft-WPMI weights the images that activate the neuron most, and needs probabilities of words.
Here the agreement is Pearson's correlation over all images: it takes words on any scale, needs a single data pass, and
is the same on any number of devices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torchmetrics import Metric

from nplight.errors import ArgumentError, check_at_least
from nplight.metrics.drawing import Drawing, draw_matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SMALLEST_VARIANCE = 1e-12
"""Of the mean square; below it a value is constant."""


def word_correlation(values: Tensor, words: Tensor) -> Tensor:
    """Pearson's correlation of neurons with words over images.

    Args:
        values: (images, neurons), the value of each neuron.
        words: (images, words), the value of each word.

    Returns:
        (neurons, words) float64 in [-1, 1]; NaN for a neuron or a word with one value for all images.

    Examples:
        >>> import torch
        >>> from nplight.metrics import word_correlation
        >>> values, words = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[10.0, 5.0], [20.0, 4.0], [30.0, 3.0]])
        >>> word_correlation(values, words).round(decimals=6).tolist()
        [[1.0, -1.0]]
    """
    agreement = ConceptAgreement(values.shape[1], words.shape[1])
    agreement.update(values, words[None])
    return agreement.correlations()[0]


class ConceptAgreement(Metric):
    """`word_correlation` accumulated over batches, of the words themselves and of the words of other images.

    The state is (1 + controls) x neurons x words float64, whatever the number of images.

    Args:
        neurons: number of neurons.
        words: number of words.
        controls: number of draws of other images' words.
        **kwargs: of torchmetrics' `Metric`.

    Raises:
        ArgumentError: an argument is too small.

    Examples:
        >>> import torch
        >>> from nplight.metrics import ConceptAgreement
        >>> values, words = torch.randn(50, 3), torch.rand(50, 2)  # of three neurons and two words
        >>> agreement = ConceptAgreement(neurons=3, words=2, controls=1)
        >>> agreement.update(values, torch.stack([words, words.roll(1, 0)]))  # the control: words of other images
        >>> agreement.correlations().shape
        torch.Size([2, 3, 2])
    """

    full_state_update = False
    higher_is_better = None
    is_differentiable = False
    images: Tensor
    of_neurons: Tensor
    of_words: Tensor
    products: Tensor

    def __init__(self, neurons: int, words: int, controls: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name, value, least in (("neurons", neurons, 1), ("words", words, 1), ("controls", controls, 0)):
            check_at_least(name, value, least)
        shapes = {
            "images": (),
            "of_neurons": (2, neurons),
            "of_words": (2, 1 + controls, words),
            "products": (1 + controls, neurons, words),
        }
        for name, shape in shapes.items():
            self.add_state(name, torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, values: Tensor, words: Tensor) -> None:
        """Add images: values (images, neurons), words (1 + controls, images, words), the images' own words first.

        Raises:
            ArgumentError: the shapes do not fit, or a value is NaN or infinite.
        """
        _, draws, count = self.of_words.shape
        wanted = (draws, len(values), count)
        if values.ndim != 2 or values.shape[1] != self.of_neurons.shape[1] or tuple(words.shape) != wanted:
            raise ArgumentError(
                f"`values` must be (images, {self.of_neurons.shape[1]}) and `words` ({draws}, images, {count}), got "
                f"{tuple(values.shape)} and {tuple(words.shape)}"
            )
        values, words = values.double(), words.double()
        if not (values.isfinite().all() and words.isfinite().all()):
            raise ArgumentError("`values` and `words` must be finite, got NaN or infinite ones")
        self.images += len(values)
        self.of_neurons += torch.stack([values.sum(0), values.square().sum(0)])
        self.of_words += torch.stack([words.sum(1), words.square().sum(1)])
        self.products += values.T @ words

    def correlations(self) -> Tensor:
        """What `compute` gives, also where torchmetrics would reduce a single value to a number."""
        result: Tensor = self.compute()
        return result.reshape(self.products.shape)

    def compute(self) -> Tensor:
        """(1 + controls, neurons, words): the correlations over all devices; all devices must call it."""
        (neurons, neuron_squares), (words, word_squares) = self.of_neurons, self.of_words
        covariance = self.products * self.images - neurons[:, None] * words[:, None, :]
        deviations = _deviation(neurons, neuron_squares, self.images)[:, None] * _deviation(
            words, word_squares, self.images
        ).unsqueeze(1)
        correlations: Tensor = (covariance / deviations).clamp(-1, 1)
        return correlations

    def plot(self, val: Tensor | None = None, ax: Axes | None = None) -> Drawing:
        """Plot the correlations of neurons with the images' own words, as a heat map.

        Args:
            val: the result of `compute`; `None`: compute it.
            ax: the axes; `None`: a new figure.
        """
        correlations = self.compute() if val is None else val
        own = correlations.reshape(self.products.shape)[0]
        return draw_matrix(own, ax, rows="neuron", columns="word", unit="correlation")


def _deviation(total: Tensor, squares: Tensor, images: Tensor) -> Tensor:
    """The number of images times the standard deviation; NaN for a constant."""
    variance = squares * images - total.square()
    return torch.where(variance > _SMALLEST_VARIANCE * squares * images, variance, torch.nan).sqrt()
