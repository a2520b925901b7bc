"""Neurons are named by the word they agree with, and a name at chance is told to be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from nplight import open_vit
from nplight.data import ImageBatch, WordTable
from nplight.errors import ArgumentError
from nplight.metrics import word_correlation
from nplight.neurons import record
from nplight.results import ConceptName, concept_names, neuron_values
from nplight.results.neuron_names import _drawn, to_plain
from nplight.vit import OpenViT
from tests.conftest import read_reference

NEURONS = [(2, 5), (0, 3), (2, 1), (3, 0)]


@pytest.fixture(scope="module")
def vit() -> OpenViT:
    return open_vit(read_reference("patch_mean").model)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return read_reference("patch_mean").images


def batches(images: Tensor, size: int = 16) -> Iterator[ImageBatch]:
    for index in torch.arange(len(images)).split(size):
        yield ImageBatch(images[index], index=index)


def noise(images: int, words: int) -> Tensor:
    return torch.randn(images, words, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def table(values: Tensor) -> WordTable:
    words = tuple(f"word {number}" for number in range(values.shape[1]))
    return WordTable(words, values, torch.arange(len(values)))


def test_a_value_is_the_mean_over_the_path_tokens(vit: OpenViT, images: Tensor) -> None:
    values = neuron_values(vit, images, NEURONS)
    with torch.no_grad(), record(vit) as recorded:
        vit.forward(images)
    for column, (layer, neuron) in enumerate(NEURONS):
        assert torch.allclose(values[:, column], recorded[layer][..., neuron].mean(1))
    assert not any(module._forward_pre_hooks for module in vit.model.modules())


def test_a_neuron_has_the_word_that_follows_it_and_noise_is_at_chance(vit: OpenViT, images: Tensor) -> None:
    values = neuron_values(vit, images, NEURONS)
    words = torch.cat([noise(len(images), 3), 2 * values[:, :2] + 1], 1)
    names = concept_names(vit, lambda: batches(images), NEURONS[:2], table(words))
    assert [name.word for name in names.values()] == ["word 3", "word 4"]
    assert all(name.score == pytest.approx(1) and name.told for name in names.values())
    assert names[2, 5].text == "1.00 word 3"
    of_noise = concept_names(vit, lambda: batches(images), NEURONS, table(noise(len(images), 5)))
    scores = word_correlation(values, noise(len(images), 5))
    assert [name.score for name in of_noise.values()] == pytest.approx(scores.amax(1).tolist())
    assert not any(name.told for name in of_noise.values())
    assert of_noise[0, 3].text == "at chance"


def test_names_of_noise_are_told_in_one_of_twenty(vit: OpenViT, images: Tensor) -> None:
    """At the level that is promised: with 39 draws a name of noise is told with a chance of 5%."""
    neurons = [(layer, neuron) for layer in range(vit.depth) for neuron in range(50)]
    told = 0
    for seed in range(4):
        generator = torch.Generator().manual_seed(100 + seed)
        words = torch.randn(len(images), 3, generator=generator, dtype=torch.float64)
        names = concept_names(vit, lambda: batches(images, 80), neurons, table(words), seed=seed)
        told += sum(name.told for name in names.values())
    assert 0.01 < told / (4 * len(neurons)) < 0.12


def test_batches_and_groups_of_neurons_do_not_matter(
    vit: OpenViT, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = table(noise(len(images), 4))
    whole = concept_names(vit, lambda: batches(images, 80), NEURONS, words)
    backwards = concept_names(vit, lambda: reversed(list(batches(images, 7))), NEURONS, words)
    monkeypatch.setattr("nplight.results.neuron_names._MOST_NUMBERS", 1)
    one_by_one = concept_names(vit, lambda: batches(images, 80), NEURONS, words)
    for other in (backwards, one_by_one):
        assert list(other) == list(whole)
        for neuron, name in whole.items():
            assert other[neuron].word == name.word
            assert other[neuron].score == pytest.approx(name.score)
            assert other[neuron].chance == pytest.approx(name.chance)


def test_draws_are_of_all_images_alike() -> None:
    rows = torch.arange(5000)
    drawn = torch.stack([_drawn(rows, 5000, 0, draw) for draw in range(3)])
    assert (drawn >= 0).all()
    assert (drawn < 5000).all()
    assert [float(row.double().mean()) for row in drawn] == pytest.approx([2499.5] * 3, rel=0.05)
    assert (drawn[0] == drawn[1]).double().mean() < 0.01
    assert torch.equal(_drawn(rows[7:9], 5000, 0, 2), drawn[2, 7:9])


def test_a_silent_neuron_has_no_name(vit: OpenViT, images: Tensor) -> None:
    one_image = images[:1].expand(30, -1, -1, -1)
    (name,) = concept_names(vit, lambda: batches(one_image), [(1, 1)], table(noise(30, 2))).values()
    assert (name.word, name.told, name.text) == ("", False, "at chance")
    assert to_plain({(1, 1): name}) == [
        {"layer": 1, "neuron": 1, "name": "", "score": None, "chance": None, "told": False}
    ]
    assert to_plain({(1, 1): ConceptName("loop", 0.5, 0.2)})[0]["told"] is True


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"neurons": []}, r"`neurons` must be of the model, as \(layer, number\), got none"),
        ({"neurons": [(0, 9999)]}, r"`neurons` must be of the model, .* got \[\(0, 9999\)\]"),
        ({"controls": 3}, "`controls` must be an integer of at least 19, got 3"),
        ({"batches": lambda: iter(())}, "`batches` must give at least one image, got none"),
    ],
)
def test_wrong_arguments_are_refused(vit: OpenViT, images: Tensor, changed: dict[str, Any], message: str) -> None:
    words = table(noise(len(images), 2))
    given: dict[str, Any] = {"batches": lambda: batches(images), "neurons": NEURONS, "table": words, **changed}
    with pytest.raises(ArgumentError, match=message):
        concept_names(vit, given.pop("batches"), given.pop("neurons"), given.pop("table"), **given)
