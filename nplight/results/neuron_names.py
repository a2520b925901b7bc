"""Names of neurons: the word whose values over images agree best with the neuron's, beside what chance gives.

A name is at chance if its agreement is not above that of the words of other images: the control draws, for every image,
the words of a random image, and names the neuron by them as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor

from nplight.attribution import at_least_float32
from nplight.data import ImageBatch
from nplight.data.word_table import WordTable
from nplight.errors import ArgumentError, check_at_least
from nplight.metrics.concept_agreement import ConceptAgreement
from nplight.neurons.sites import SiteFunction, at_sites
from nplight.seeds import hashes
from nplight.vit import OpenViT, undisturbed

Neuron = tuple[int, int]
"""Layer and number in the layer."""

CONTROLS = 39
"""Draws of other images' words: a score above 38 of 39 has a chance of 5% per neuron."""

_LEVEL = 0.95
_MOST_NUMBERS = 40_000_000
"""Of the state of a data pass; more neurons take further passes."""


@dataclass(frozen=True, slots=True)
class ConceptName:
    """The name of a neuron.

    Attributes:
        word: the word that agrees best; empty for a neuron with one value for all images.
        score: its correlation with the neuron over the images, in [-1, 1]; NaN without a word.
        chance: the 95% quantile of the best scores that the words of other images give; NaN without a word.

    Examples:
        >>> from nplight.results import ConceptName
        >>> name = ConceptName("loop", score=0.62, chance=0.31)
        >>> name.told, name.text
        (True, '0.62 loop')
    """

    word: str
    score: float
    chance: float

    @property
    def told(self) -> bool:
        """Whether the score is above chance."""
        return self.score > self.chance

    @property
    def text(self) -> str:
        """For people: the score and the word, or that it is at chance."""
        return f"{self.score:.2f} {self.word}" if self.told else "at chance"


def concept_names(
    vit: OpenViT,
    batches: Callable[[], Iterable[ImageBatch]],
    neurons: Sequence[Neuron],
    table: WordTable,
    *,
    controls: int = CONTROLS,
    seed: int = 0,
) -> dict[Neuron, ConceptName]:
    """Name neurons; the value of a neuron for an image is its mean over the path tokens.

    Images are read in one data pass, and in further ones if neurons x words x controls are many. Memory does not grow
    with the images. An image's draws depend on its row in the table alone, so that names do not depend on batches.

    Args:
        vit: the opened model.
        batches: gives the images from the first on each time it is called, on the model's device.
        neurons: to name, as layer and number.
        table: words of every image.
        controls: draws of other images' words, at least 19.
        seed: of the draws.

    Raises:
        ArgumentError: there is no neuron or image, a neuron is not the model's, an image has no words, or `controls` is
            too small.
        NonFiniteError: NaN or infinite values appeared.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.data import ImageBatch, WordTable
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.results import concept_names
        >>> planted, index = build_planted(PLANTED["chain"]), torch.arange(16)
        >>> words = WordTable(("zero", "one", "two", "three"), torch.eye(4)[planted.labels], index)
        >>> vit, batch = nplight.open_vit(planted.model), ImageBatch(planted.images, index=index)
        >>> neuron = (0, planted.truth[2, 0, 0].item())  # of the path of category 2
        >>> concept_names(vit, lambda: [batch], [neuron], words)[neuron].word
        'two'
    """
    check_at_least("controls", controls, 19)
    wanted = list(dict.fromkeys(neurons))
    check_of_model(vit, wanted)
    size = max(1, _MOST_NUMBERS // ((1 + controls) * len(table.words)))
    names: dict[Neuron, ConceptName] = {}
    for start in range(0, len(wanted), size):
        group = wanted[start : start + size]
        names |= dict(zip(group, _named(_agreement(vit, batches(), group, table, controls, seed), table.words)))
    return names


def neuron_values(vit: OpenViT, images: Tensor, neurons: Sequence[Neuron]) -> Tensor:
    """The mean of each neuron over the path tokens: (images, neurons), at least float32.

    Examples:
        >>> import nplight
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.results import neuron_values
        >>> planted = build_planted(PLANTED["chain"])
        >>> neuron = (0, planted.truth[2, 0, 0].item())  # of the path of category 2
        >>> values = neuron_values(nplight.open_vit(planted.model), planted.images, [neuron])
        >>> values.shape, planted.labels[values[:, 0].topk(4).indices].tolist()
        (torch.Size([16, 1]), [2, 2, 2, 2])
    """
    columns: dict[int, Tensor] = {}
    of_layer: dict[int, list[int]] = {}
    for place, (layer, _) in enumerate(neurons):
        of_layer.setdefault(layer, []).append(place)

    def read(layer: int) -> SiteFunction:
        numbers = torch.tensor([neurons[place][1] for place in of_layer[layer]], device=images.device)

        def keep(values: Tensor) -> Tensor:
            columns[layer] = at_least_float32(values[..., numbers]).mean(1)
            return values

        return keep

    with ExitStack() as stack:
        stack.enter_context(undisturbed(vit.model))
        stack.enter_context(torch.no_grad())
        stack.enter_context(at_sites(vit, {layer: read(layer) for layer in of_layer}))
        vit.forward(images)
    places = torch.tensor([place for layer in of_layer for place in of_layer[layer]])
    return torch.cat([columns[layer] for layer in of_layer], 1)[:, places.argsort()]


def _agreement(
    vit: OpenViT, batches: Iterable[ImageBatch], neurons: Sequence[Neuron], table: WordTable, controls: int, seed: int
) -> Tensor:
    """(1 + controls, neurons, words): the correlations."""
    agreement = ConceptAgreement(len(neurons), len(table.words), controls)
    for batch in batches:
        rows = table.positions(batch)
        drawn = torch.stack([rows, *(_drawn(rows, len(table), seed, draw) for draw in range(controls))])
        agreement.update(neuron_values(vit, batch.images, neurons).cpu(), table.values[drawn])
    if not agreement.images:
        raise ArgumentError("`batches` must give at least one image, got none")
    return agreement.correlations()


def _drawn(rows: Tensor, count: int, seed: int, draw: int) -> Tensor:
    """A random row for each row, which depends on the row, the seed and the draw alone."""
    return hashes(rows, torch.full_like(rows, draw), seed=seed) % count


def _named(correlations: Tensor, words: Sequence[str]) -> list[ConceptName]:
    """The best word of each neuron, and the quantile of the best scores of the draws."""
    best = correlations.nan_to_num(nan=-math.inf).amax(2)
    rank = math.ceil(_LEVEL * len(best))  # of the score among itself and the draws
    chance = best[1:].sort(0).values[rank - 1]
    places = correlations[0].nan_to_num(nan=-math.inf).argmax(1)
    return [
        ConceptName(words[place], score, limit) if math.isfinite(score) else ConceptName("", math.nan, math.nan)
        for place, score, limit in zip(places.tolist(), best[0].tolist(), chance.tolist())
    ]


def check_of_model(vit: OpenViT, neurons: Sequence[Neuron]) -> None:
    """Refuse neurons that are not the model's, and an empty list.

    Raises:
        ArgumentError: naming the first three.
    """
    outside = [
        (layer, neuron) for layer, neuron in neurons if not (0 <= layer < vit.depth and 0 <= neuron < vit.widths[layer])
    ]
    if outside or not neurons:
        raise ArgumentError(f"`neurons` must be of the model, as (layer, number), got {outside[:3] or 'none'}")


def to_plain(names: Mapping[Neuron, ConceptName]) -> list[dict[str, object]]:
    """Plain values for a file, one entry per neuron."""
    return [
        {
            "layer": layer,
            "neuron": neuron,
            "name": name.word,
            "score": None if math.isnan(name.score) else name.score,
            "chance": None if math.isnan(name.chance) else name.chance,
            "told": name.told,
        }
        for (layer, neuron), name in names.items()
    ]
