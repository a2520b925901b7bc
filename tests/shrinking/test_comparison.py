"""Smaller models beside the model itself."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor

from nplight import open_vit, references, shrink
from nplight.data import ImageBatch
from nplight.shrinking import top_share
from nplight.shrinking.comparison import RANDOM, WHOLE, Shrinker, ShrinkSettings, compare, count_of_models
from nplight.shrinking.measurements import Accuracy
from nplight.shrinking.rankings import random_scores
from tests.conftest import make_vit


@pytest.mark.parametrize("fill", ["zero", "mean"])
def test_every_ranking_is_measured_at_every_share(fill: str, images: Tensor, targets: Tensor) -> None:
    vit = open_vit(make_vit())
    values = None if fill == "zero" else references(vit, [images], "mean", tokens="all")
    settings = ShrinkSettings(keep=0.5, by="backwards", shares=(0.25, 0.5), draws=2, rounds=1)
    scores = [-torch.arange(64.0)] * 3
    counted: list[None] = []
    result = compare(
        Shrinker(vit, values, "layer"),
        {"backwards": scores},
        lambda: [ImageBatch(images, targets)],
        settings,
        lambda: counted.append(None),
    )
    assert len(counted) == count_of_models(1, settings) == 6
    assert [model.name for model in result.models] == [WHOLE, "backwards", RANDOM]
    assert [model.widths for model in result.models] == [(64, 64, 64), (32, 32, 32), (32, 32, 32)]
    assert result.models[1].cost == result.models[2].cost
    assert result.models[0].speedup == 1
    assert result.fill == fill
    for share in (0.25, 0.5):
        small = shrink(vit, top_share(scores, share), fill=fill, references=values)  # type: ignore[arg-type]
        correct = int((small(images).argmax(1) == targets).sum())
        assert result.curves["backwards"][share] == Accuracy.of(correct, 4)
        draws = []
        for draw in range(2):
            kept = top_share(random_scores(vit.widths, draw), share)
            small = shrink(vit, kept, fill=fill, references=values)  # type: ignore[arg-type]
            draws.append(Accuracy.of(int((small(images).argmax(1) == targets).sum()), 4))
        assert result.curves[RANDOM][share] == Accuracy.over_draws(draws)
    assert all(points[1.0] == result.models[0].accuracy for points in result.curves.values())
    assert json.loads(json.dumps(result.to_dict()))["models"][1]["widths"] == [32, 32, 32]
