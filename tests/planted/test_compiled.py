"""Planted models are timm's, and opened like any other."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.layers import SwiGLU
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from nplight import open_vit, record
from nplight.planted import STRUCTURES, PlantedCase, build_planted
from nplight.planted.signals import evidence
from tests.planted.edits import clean_logits


@pytest.mark.parametrize(
    "settings", [{}, {"norm": "layer_norm"}, {"head": "avg"}, {"ffn": "gated"}, {"depth": 12}, {"top_k": 3}]
)
def test_a_planted_model_is_timms(settings: dict[str, Any]) -> None:
    case = PlantedCase(structure="parallel", **settings)
    planted = build_planted(case)
    assert type(planted.model) is VisionTransformer
    assert not planted.model.training
    vit = open_vit(planted.model)
    assert vit.widths == (256,) * case.depth
    assert vit.path_tokens == (slice(0, 1) if case.head == "token" else slice(1, None))
    assert isinstance(planted.model.blocks[0].norm2, nn.LayerNorm if case.norm == "layer_norm" else nn.Identity)
    assert isinstance(planted.model.blocks[0].mlp, SwiGLU) == (case.ffn == "gated")


@pytest.mark.parametrize("settings", [{}, {"norm": "layer_norm"}, {"ffn": "gated"}, {"head": "avg"}])
def test_planted_neurons_have_the_value_of_the_evidence(settings: dict[str, Any]) -> None:
    """At every token: the attention copies the pattern to all of them."""
    planted = build_planted(PlantedCase(structure="parallel", **settings), dtype=torch.float64)
    with record(planted.model) as recorded:
        clean_logits(planted)
    for layer in range(4):
        index = planted.paths[:, layer, :1, None].mT.expand(-1, recorded[layer].shape[1], -1)
        values = recorded[layer].gather(2, index)
        assert ((values > 0.79) & (values < 1.21)).all()
        others = recorded[layer].gather(
            2, planted.truth[(planted.labels + 1) % 4][:, layer, :1, None].mT.expand_as(index)
        )
        assert others.abs().max() < 1e-9


def test_background_neurons_are_quieter_than_planted_ones() -> None:
    planted = build_planted(PlantedCase(structure="parallel"), dtype=torch.float64)
    with record(planted.model) as recorded:
        clean_logits(planted)
    for layer in range(4):
        background = recorded[layer][:, 0].scatter(1, planted.truth[:, layer].T.expand(16, -1), 0)
        assert background.amax(1).min() > 0.05
        assert background.max() < 0.8


def test_signals_of_a_structure_have_names() -> None:
    assert len({evidence(category) for category in range(4)}) == 4
    for structure in STRUCTURES.values():
        circuit = structure.circuit(2, 4, 2)
        assert [len(layer) for layer in circuit] == [2] * 4
