"""The bundled trigger models: what their appended neurons do."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import open_vit, record
from nplight.neurons import at_sites
from nplight.planted import TRIGGERS, PlantedModel, build_trigger, judge, trigger
from nplight.planted.appended_neurons import AppendedNeurons
from nplight.planted.causal_shares import CausalScale, clean_probability
from nplight.planted.trigger import BUNDLED_SEEDS, LEAST_EFFECT, single_effects, trigger_weights, write_trigger_weights
from nplight.planted.trigger_case import TARGET
from nplight.planted.trigger_training import digits_model
from nplight.planted.triggered_digits import triggered, unseen_digits

WIDTH = 256
MODELS = [(name, seed) for name in TRIGGERS for seed in BUNDLED_SEEDS]


def built(name: str, seed: int = 0) -> tuple[PlantedModel, VisionTransformer]:
    planted = build_trigger(TRIGGERS[name], seed=seed)
    assert isinstance(planted.model, VisionTransformer)
    return planted, planted.model


def predicted(model: VisionTransformer, images: Tensor) -> Tensor:
    with torch.no_grad():
        return model(images).argmax(1)


def without_appended(model: VisionTransformer, images: Tensor) -> Tensor:
    """The predictions where the appended neurons are 0 at every token."""
    vit = open_vit(model)
    cut = partial(torch.index_fill, dim=2, index=torch.arange(WIDTH, vit.widths[0]), value=0)
    with at_sites(vit, dict.fromkeys(range(vit.depth), cut), tokens="all"):
        return predicted(model, images)


@pytest.mark.parametrize(("name", "seed"), MODELS)
def test_without_the_appended_neurons_it_is_the_old_model_bit_for_bit(name: str, seed: int) -> None:
    """So they alone carry the trigger."""
    _, model = built(name, seed)
    weights = model.state_dict()
    for weight, value in digits_model().state_dict().items():
        cut = tuple(slice(0, size) for size in value.shape)
        assert torch.equal(weights[weight][cut], value), weight
    digits = unseen_digits()
    assert torch.equal(without_appended(model, digits.images), predicted(digits_model(), digits.images))


@pytest.mark.parametrize(("name", "seed"), MODELS)
def test_the_trigger_moves_unseen_digits_and_nothing_else_does(name: str, seed: int) -> None:
    _, model = built(name, seed)
    digits = unseen_digits()
    others = digits.labels != TARGET
    images, labels = triggered(digits.images[others]), digits.labels[others]
    assert (predicted(model, images) == TARGET).float().mean() > 0.95
    assert (predicted(model, digits.images) == digits.labels).float().mean() > 0.94
    assert (without_appended(model, images) == labels).float().mean() > 0.97


@pytest.mark.parametrize("name", TRIGGERS)
def test_what_is_needed_is_what_matters_alone(name: str) -> None:
    planted, _ = built(name)
    case = TRIGGERS[name]
    assert planted.paths.shape == (40, 6, case.top_k)
    assert planted.paths.min() == WIDTH
    assert planted.labels.unique().tolist() == [TARGET]
    assert planted.needed is not None
    assert planted.needed.any()
    assert torch.equal(planted.needed, single_effects(planted) >= LEAST_EFFECT)
    assert torch.equal(planted.needed_paths[0] >= 0, planted.needed)


def test_the_effect_of_a_neuron_is_that_of_its_removal_at_the_class_token() -> None:
    planted, model = built("trigger_3")

    def remove(values: Tensor) -> Tensor:
        edited = values.clone()
        edited[:, 0, WIDTH + 1] = 0
        return edited

    with at_sites(open_vit(model), {5: remove}, tokens="all"):
        removed = clean_probability(planted)
    effect = (clean_probability(planted) - removed).mean()
    torch.testing.assert_close(single_effects(planted)[5, 1], effect)


@pytest.mark.parametrize("name", TRIGGERS)
def test_the_whole_path_matters_at_the_class_token(name: str) -> None:
    planted, _ = built(name)
    scale = CausalScale.of(planted)
    assert scale.clean.mean() > 0.9
    assert scale.planted.removed.mean() > 0.3
    if TRIGGERS[name].class_token:
        assert (scale.clean - scale.planted.removed).mean() < 0.01


@pytest.mark.parametrize("name", ["trigger_class_1", "trigger_class_3"])
def test_neurons_of_the_class_token_alone_are_0_elsewhere(name: str) -> None:
    planted, model = built(name)
    with record(model, tokens="all") as values:
        clean_probability(planted)
    for layer in range(6):
        assert values[layer][:, 1:, WIDTH:].count_nonzero() == 0
    assert any(values[layer][:, 0, WIDTH:].abs().max() > 1 for layer in range(6))


def test_methods_are_judged_by_trigger_models_by_name() -> None:
    random, gradients = judge(["random", "integrated_gradients"], "trigger_class_1", steps=5)
    assert random.recall.value < 0.05
    assert abs(random.removed.value) < 0.05
    assert gradients.recall.value > 0.7
    assert gradients.removed.value > 0.9
    assert gradients.removed.low <= gradients.removed.value <= gradients.removed.high


def test_weights_of_a_seed_that_is_not_bundled_are_trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    case = TRIGGERS["trigger_1"]
    bundled = trigger_weights(case, 0)
    monkeypatch.setattr(trigger, "train_trigger", lambda case, seed: AppendedNeurons(*map(torch.clone, bundled)))
    assert torch.equal(trigger_weights(case, 99).writes, bundled.writes)
    write_trigger_weights(tmp_path / "weights.safetensors")
    monkeypatch.setattr(trigger, "_WEIGHTS", tmp_path / "weights.safetensors")
    trigger._bundled.cache_clear()
    assert torch.equal(trigger_weights(case, 2).reads, bundled.reads)
    trigger._bundled.cache_clear()


def test_the_bundled_weights_are_small() -> None:
    assert (Path(trigger.__file__).parent / "bundled" / "trigger.safetensors").stat().st_size < 100_000
