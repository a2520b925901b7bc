from __future__ import annotations

from typing import Any

import pytest
import torch

from nplight import METHODS
from nplight.errors import ArgumentError
from nplight.searching import SearchOptions
from nplight.searching.options import check_patch_stream, frozen_for, ignored, joint_methods


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"top_k": 0}, "`top_k` must be an integer of at least 1, got 0"),
        ({"top_k": 3, "ranked": 2}, "`ranked` must be at least `top_k` = 3, got 2"),
        ({"steps": 0}, "`steps` must be an integer of at least 1, got 0"),
        ({"rule": "guess"}, "`rule` must be one of"),
        ({"patch_stream": "icy"}, "`patch_stream` must be one of 'exact', 'frozen', got 'icy'"),
        ({"chunk_size": 0}, "`chunk_size` must be an integer of at least 1, got 0"),
        ({"tolerance": -1e-6}, r"`tolerance` must be a number in \[0, 1\), relative to the score, got -1e-06"),
        ({"tolerance": float("nan")}, r"`tolerance` must be a number in .*, got nan; 0 or None evaluates every node"),
        ({"tolerance": 1.0}, "`tolerance` must be a number in"),
        ({"tolerance": "tight"}, "`tolerance` must be a number in .*, got 'tight'"),
        ({"tolerance": True}, "`tolerance` must be a number in .*, got True"),
        ({"seed": -1}, "`seed` must be an integer of at least 0, got -1"),
    ],
)
def test_settings_that_break_a_rule_are_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason):
        SearchOptions(**settings)


def test_a_tolerance_below_the_rounding_of_the_dtype_is_every_node() -> None:
    options = SearchOptions()
    assert options.tolerance_for(torch.float64) == options.tolerance_for(torch.float32) == 1e-6
    assert options.tolerance_for(torch.bfloat16) == options.tolerance_for(torch.float16) == 0
    assert SearchOptions(tolerance=None).tolerance_for(torch.float64) == 0
    with pytest.warns(RuntimeWarning, match=r"`tolerance` 1e-20 is below the rounding of torch.float64"):
        assert SearchOptions(tolerance=1e-20).tolerance_for(torch.float64) == 0


def test_a_method_ignores_what_its_row_does_not_name() -> None:
    for name, row in METHODS.items():
        for granularity in ("image", "category"):
            unused = ignored(name, granularity)
            assert ("seed" in unused) is not row.seeded
            assert ("candidates" in unused) is not row.measures
            assert ("patch_stream" in unused) is not (row.frozen and granularity == "image")
            if "patch_stream" in unused:
                with pytest.raises(ArgumentError, match=r"must be .exact. for .*; .frozen. is for method jas"):
                    check_patch_stream("frozen", name, granularity)
            check_patch_stream("exact", name, granularity)
    assert frozen_for() == (
        "'frozen' is for method jas, joint_integrated_gradients, joint_integrated_gradients_held, "
        "joint_positive_gradients, greedy_removal with "
        "granularity 'image'"
    )
    names = "'jas', 'joint_integrated_gradients', 'joint_integrated_gradients_held', 'joint_positive_gradients'"
    assert joint_methods() == names
