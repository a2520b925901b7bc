from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from nplight.metrics import MEASURES
from nplight.report.run_data import _KINDS
from nplight.report.run_shapes import SHAPES

CONDITION: dict[str, Any] = {
    "condition": "kept",
    "method": "jas",
    "kept": 1,
    "pruned": 1.0,
    **dict.fromkeys(MEASURES, 0.5),
}
PICTURES: dict[str, Any] = {
    "grid": None,
    "pictures": [{"file": "a", "label": 0, "source": "x"}],
    "samples": {"0": [[0, 0.1, 0.2, 0.3]]},
    "drivers": [{"layer": 0, "neuron": 1, "images": [[0, 0.5, []]]}],
}

SHARE: dict[str, Any] = {"value": 0.5, "low": 0.4, "high": None}
STABILITY: dict[str, Any] = {
    "images": 9,
    "levels": {"blur": [1, 2.5]},
    "prediction_unchanged": {"blur": [SHARE, SHARE]},
    "random": 0.01,
    "searches": {
        "jas": {
            "kept": {"blur": [SHARE, SHARE]},
            **dict.fromkeys(("overall", "same_category", "other_category", "over_same_category"), SHARE),
        }
    },
    "settings": {"images": 9},
    "severities": [1, 2],
}
SANITY: dict[str, Any] = {
    "images": 9,
    "random": 0.01,
    "read_out": {
        "caveat": "told",
        "control": {"label": SHARE, "prediction": SHARE},
        "searches": {"jas": {"label": SHARE, "prediction": SHARE}},
    },
    "searches": {
        "jas": {
            "randomised": [SHARE],
            "nearest": dict.fromkeys(("own", "wrong", "others"), SHARE),
            "nearest_before": dict.fromkeys(("own", "wrong", "others"), SHARE),
            **dict.fromkeys(("wrong_target", "same_category", "other_category"), SHARE),
        }
    },
    "settings": {},
    "steps": ["head"],
}


def test_every_file_of_a_run_has_a_shape() -> None:
    assert set(SHAPES) == {name for name, _ in _KINDS}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("settings", {"search jas": {"steps": 20, "own": [1]}}),
        ("metrics", {"conditions": [CONDITION], "later": 1}),
        ("selectivity", {"accuracy": [[1.0, None], [0.5, 0]]}),
        ("stability", STABILITY),
        ("sanity", SANITY),
        ("about", {"names": [], "widths": [3]}),
        ("pictures", PICTURES),
    ],
)
def test_content_of_the_shape_is_accepted_with_further_entries(name: str, content: object) -> None:
    SHAPES[name].validate_python(content)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("metrics", {"conditions": [{**CONDITION, "kept": None}]}, "must say how much it keeps and prunes"),
        ("metrics", {"conditions": [{**CONDITION, "accuracy": "0.5"}]}, "valid number"),
        ("metrics", {"conditions": [{"condition": "clean", "method": "", "kept": None, "pruned": None}]}, "measures"),
        ("selectivity", {"accuracy": [[1.0, 1.0]]}, "an entry for each category"),
        ("stability", {**STABILITY, "severities": [1]}, "an estimate for each severity"),
        ("sanity", {**SANITY, "steps": ["head", "block 0"]}, "an estimate for each step"),
        ("about", {"names": [], "widths": [0]}, "greater than or equal to 1"),
        ("pictures", {**PICTURES, "samples": {"0": [[1, 0.1, 0.2, 0.3]]}}, "pictures that it does not hold"),
    ],
)
def test_other_content_is_refused(name: str, content: object, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        SHAPES[name].validate_python(content)
