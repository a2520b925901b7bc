from __future__ import annotations

from typing import Any

import pytest

from nplight.errors import ArgumentError
from nplight.runs import SearchSettings


def test_sizes_are_those_of_the_path_and_those_kept_as_far_as_a_ranking_goes() -> None:
    settings = SearchSettings.of(top_k=2, kept=(1, 10, 30))
    assert settings.ranked == 30
    assert settings.sizes(30) == (1, 2, 10, 30)
    assert settings.sizes(8) == (1, 2, 8)
    assert all(search.options.ranked == 30 for search in settings.searches)


def test_without_labels_the_predicted_category_is_the_target() -> None:
    values = SearchSettings(labelled=False).to_dict(1)
    assert (values["command"], values["target"]) == ("predict", "prediction")
    assert SearchSettings(target="prediction").to_dict(1)["command"] == "validate"
    assert not SearchSettings().predicted


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"target": "guess"}, "`target` must be one of 'label', 'prediction'"),
        ({"category_method": "median"}, "`category_method` must be"),
        ({"kept": (0,)}, "`kept` must be an integer of at least 1, got 0"),
        ({"methods": ["lime"]}, "`method` must be"),
        (
            {"methods": [{"method": "jas", "granularity": "category"}], "labelled": False},
            "predict has no labels for granularity 'category', asked for by jas",
        ),
    ],
)
def test_a_wrong_setting_is_refused_by_name(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason):
        SearchSettings.of(**options)
