"""The best share of a ranking."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nplight.errors import ArgumentError
from nplight.shrinking import top_share

SCORES = [torch.tensor([0.0, 3.0, 1.0, 2.0]), torch.tensor([10.0, 40.0, 30.0, 20.0])]


def test_the_best_of_each_layer_and_of_the_model() -> None:
    assert [chosen.tolist() for chosen in top_share(SCORES, 0.5)] == [[1, 3], [1, 2]]
    assert [chosen.tolist() for chosen in top_share(SCORES, 0.5, across="model")] == [[1], [1, 2, 3]]
    assert [chosen.tolist() for chosen in top_share(SCORES, 0.001, across="model")] == [[1], [1]]


def test_of_equal_scores_the_first() -> None:
    assert [chosen.tolist() for chosen in top_share([torch.ones(4), torch.zeros(6)], 0.5)] == [[0, 1], [0, 1, 2]]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 1), st.sampled_from(["layer", "model"]))
def test_shares_are_nested_and_as_large_as_asked(seed: int, share: float, across: Any) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = [torch.randn(width, generator=generator) for width in (5, 9, 16)]
    kept = top_share(scores, share, across=across)
    counts = [len(chosen) for chosen in kept]
    if across == "layer":
        assert counts == [max(1, round(share * width)) for width in (5, 9, 16)]
    else:
        assert sum(counts) == max(3, round(share * 30))
        assert min(counts) >= 1
    for chosen, less in zip(kept, top_share(scores, share / 2, across=across)):
        assert set(less.tolist()) <= set(chosen.tolist())
    for values, chosen in zip(scores, kept):
        others = set(range(len(values))) - set(chosen.tolist())
        assert all(values[chosen].min() >= values[other] for other in others)


@pytest.mark.parametrize("share", [0, -0.1, 1.1, float("nan"), True, None, "half"])
def test_what_is_no_share_is_refused(share: Any) -> None:
    with pytest.raises(ArgumentError, match=r"`share` must be a fraction in \(0, 1\]"):
        top_share(SCORES, share)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([], "one tensor"),
        (torch.ones(2, 3), "one tensor"),
        ([torch.ones(2), torch.tensor([1.0, float("nan")])], "layer 1 must be one finite number"),
        ([torch.ones(2, 2)], "layer 0 must be one finite number per neuron, got .* of shape"),
    ],
)
def test_what_are_no_scores_are_refused(scores: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        top_share(scores, 0.5)
    with pytest.raises(ArgumentError, match="`across` must be one of 'layer', 'model'"):
        top_share(SCORES, 0.5, across="all")  # type: ignore[arg-type]
