"""The settings of a trigger model."""

from __future__ import annotations

import pytest

from nplight.errors import ArgumentError
from nplight.planted import TRIGGERS, TriggerCase


def test_a_name_says_how_many_neurons_and_where() -> None:
    assert list(TRIGGERS) == ["trigger_1", "trigger_3", "trigger_class_1", "trigger_class_3"]
    assert all(case.name == name for name, case in TRIGGERS.items())


def test_a_layer_without_appended_neurons_is_refused() -> None:
    with pytest.raises(ArgumentError, match="`top_k` must be an integer of at least 1, got 0"):
        TriggerCase(top_k=0)
