"""The settings of a planted model: names, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from nplight.errors import ArgumentError
from nplight.planted import PlantedCase


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "chain"),
        ({"structure": "redundancy", "top_k": 2}, "redundancy"),
        ({"decoys": ("loud", "silent"), "probability": 0.98}, "chain-loud+silent-p0.98"),
        ({"decoys": ("loud", "silent", "common", "correlated"), "top_k": 3, "head": "avg"}, "chain-all-k3-avg"),
        ({"probability": 1 - 1e-9, "norm": "layer_norm", "ffn": "gated"}, "chain-saturated-layer_norm-gated"),
        ({"structure": "backup", "depth": 12}, "backup-depth12"),
    ],
)
def test_a_name_says_what_sets_the_case_apart(settings: dict[str, Any], name: str) -> None:
    assert PlantedCase(**settings).name == name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"structure": "loop"}, "`structure` must be one of 'chain', .* got 'loop'"),
        ({"decoys": ("quiet",)}, "`decoys` must be one of 'loud', .* got 'quiet'"),
        ({"decoys": "loud"}, "`decoys` must be a tuple of names, got 'loud'"),
        ({"norm": "rms"}, "`norm` must be one of 'identity', 'layer_norm', got 'rms'"),
        ({"head": "map"}, "`head` must be one of 'token', 'avg', got 'map'"),
        ({"ffn": "swiglu"}, "`ffn` must be one of 'plain', 'gated', got 'swiglu'"),
        ({"top_k": 4}, "`top_k` must be in 1 … 3 for structure 'chain', got 4"),
        ({"structure": "conjunction"}, "`top_k` must be in 2 … 3 for structure 'conjunction', got 1"),
        ({"probability": 0.2}, "`probability` must be above chance, 0.25, and below 1, got 0.2"),
        ({"probability": 1.0}, "`probability` must be above chance, 0.25, and below 1, got 1.0"),
        ({"depth": 1}, "`depth` must be an integer of at least 2, got 1"),
        ({"structure": "backup", "depth": 3}, "`depth` must be even for structure 'backup', got 3"),
        ({"decoys": ("loud",), "norm": "layer_norm"}, "`decoys` must be without 'loud' .* give norm 'identity'"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        PlantedCase(**settings)
