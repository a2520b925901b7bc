"""What a model costs and how often it is right: parameters, FLOPs, bytes, latency, accuracy."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from nplight.data import ImageBatch, labels_of
from nplight.errors import ArgumentError, check_at_least
from nplight.vit import OpenViT, undisturbed

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class ModelCost:
    """The size of a model.

    Attributes:
        parameters: their number, in the searched module.
        flops: multiplications and additions for one image, as torch's counter counts them.
        size: bytes of parameters and buffers.
    """

    parameters: int
    flops: int
    size: int


@dataclass(frozen=True, slots=True)
class Accuracy:
    """A share of images, with its exact 95% interval (Clopper and Pearson 1934).

    Attributes:
        value: in [0, 1].
        low: of the interval.
        high: of the interval.
        images: their number.
    """

    value: float
    low: float
    high: float
    images: int

    @classmethod
    def of(cls, correct: int, images: int) -> Accuracy:
        """From counts.

        Raises:
            ArgumentError: there are no images.
        """
        from scipy.stats import binomtest  # imported here: slow, and not needed by most callers

        if images < 1:
            raise ArgumentError("`batches` must hold at least one image with a label, got none")
        interval = binomtest(correct, images).proportion_ci(CONFIDENCE, "exact")
        return cls(correct / images, float(interval.low), float(interval.high), images)

    @classmethod
    def over_draws(cls, draws: list[Accuracy]) -> Accuracy:
        """The mean over random draws; its interval covers those of all draws."""
        mean = statistics.fmean(draw.value for draw in draws)
        low, high = min(draw.low for draw in draws), max(draw.high for draw in draws)
        return cls(mean, low, high, draws[0].images)


def model_cost(vit: OpenViT, image: Tensor) -> ModelCost:
    """The size of a model, for one image (1, channels, height, width)."""
    counter: Any = FlopCounterMode(display=False)
    # In pieces: the fused inference of torchvision's attention would not be counted.
    with undisturbed(vit.model), torch.no_grad(), counter:
        vit.forward(image)
    parameters = list(vit.searched.parameters())
    stored = [*parameters, *vit.searched.buffers()]
    return ModelCost(
        parameters=sum(parameter.numel() for parameter in parameters),
        flops=int(counter.get_total_flops()),
        size=sum(tensor.numel() * tensor.element_size() for tensor in stored),
    )


def latencies(models: Mapping[str, OpenViT], images: Tensor, *, rounds: int = 15) -> dict[str, list[float]]:
    """The seconds that each model takes for a batch, measured in turn, so that they can be compared round by round.

    Args:
        models: by name.
        images: the batch.
        rounds: how often each model runs, after one run to warm up.

    Returns:
        Name -> the seconds of every round.
    """
    check_at_least("rounds", rounds, 1)
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for number in range(rounds + 1):
        for name, vit in models.items():
            taken = _seconds(vit, images)
            if number:
                seconds[name].append(taken)
    return seconds


def paired_speedup(seconds: list[float], faster: list[float]) -> float:
    """How many times as fast the second model is: the median over rounds of the ratio within a round."""
    return statistics.median(before / after for before, after in zip(seconds, faster))


def accuracy(vit: OpenViT, batches: Iterable[ImageBatch]) -> Accuracy:
    """The share of images whose label is the most probable category.

    Raises:
        ArgumentError: there are no images, or they have no labels.
    """
    correct = images = 0
    with undisturbed(vit.model), torch.no_grad():
        for batch in batches:
            labels = labels_of(batch, "to be compared with predictions")
            correct += int((vit.forward(batch.images).argmax(1) == labels).sum())
            images += len(batch)
    return Accuracy.of(correct, images)


def _seconds(vit: OpenViT, images: Tensor) -> float:
    with undisturbed(vit.model), torch.inference_mode():
        _synchronise(images)
        start = time.perf_counter()
        vit.model(images)
        _synchronise(images)
        return time.perf_counter() - start


def _synchronise(images: Tensor) -> None:
    if images.is_cuda:
        torch.cuda.synchronize(images.device)
