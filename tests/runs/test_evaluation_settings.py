from __future__ import annotations

from typing import Any

import pytest

import nplight
from nplight.errors import ArgumentError
from nplight.runs import EvaluationSettings
from tests.conftest import make_vit


def test_all_tokens_are_tested_beside_the_path_tokens_where_they_are_others() -> None:
    vit = nplight.open_vit(make_vit())
    pooled = nplight.open_vit(make_vit(global_pool="avg", class_token=False))
    assert EvaluationSettings().edited_tokens(vit) == ("path", "all")
    assert EvaluationSettings().edited_tokens(pooled) == ("path",)
    assert EvaluationSettings(tokens="all").edited_tokens(vit) == ("all",)
    conditions = EvaluationSettings(tokens="all").conditions(vit, 1, (1, 4))
    assert {condition.tokens for condition in conditions if not condition.unedited} == {"all"}
    assert len(set(conditions)) == len(conditions)


def test_paths_that_were_searched_at_all_tokens_are_edited_at_all_tokens() -> None:
    settings = EvaluationSettings()
    assert settings.for_paths({"jas": "path"}) == settings
    assert settings.for_paths({"jas": "all", "random": "all"}).tokens == "all"
    every = EvaluationSettings(tokens="all")
    assert every.for_paths({"jas": "path", "wide": "all"}) == every
    with pytest.raises(
        ArgumentError, match=r"`tokens` must be 'all' .* those of wide, got 'both', which edits .* first"
    ):
        settings.for_paths({"jas": "path", "wide": "all"})
    with pytest.raises(ArgumentError, match=r"`tokens` must be 'all' .* those of jas, got 'path'; "):
        EvaluationSettings(tokens="path").for_paths({"jas": "all"})


def test_results_depend_on_every_setting() -> None:
    values = EvaluationSettings().to_dict()
    assert values["controls"] == ["random"]
    assert EvaluationSettings(controls=None).to_dict()["controls"] == []
    changes: dict[str, Any] = {
        "fractions": (0.2,), "fill": "mean", "tokens": "path", "seed": 1, "replicates": 5, "controls": (), "draws": 3,
        "pruned_per": "image", "depths": (), "scales": (), "own": False,
    }  # fmt: skip
    assert changes.keys() == values.keys()
    for name, value in changes.items():
        assert EvaluationSettings(**{name: value}).to_dict() != values


@pytest.mark.parametrize("scale", [-0.5, float("inf"), "2", True])
def test_a_scale_is_a_finite_factor(scale: Any) -> None:
    with pytest.raises(ArgumentError, match="`scales` must be finite factors of at least 0"):
        EvaluationSettings(scales=(scale,))
