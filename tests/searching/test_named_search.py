from __future__ import annotations

from typing import Any

import pytest

from nplight.errors import ArgumentError
from nplight.searching import SearchOptions, named_searches

DEFAULTS = SearchOptions(top_k=1, ranked=9, steps=7)


def test_a_name_is_a_method_with_the_settings_of_all() -> None:
    jas, other = named_searches(["jas", "activation"], DEFAULTS)
    assert (jas.name, jas.method, jas.options, jas.granularity) == ("jas", "jas", DEFAULTS, "image")
    assert other.method == "activation"
    (search,) = jas.image_searches((1, 5))
    assert (search.name, search.method, search.sizes, search.options.ranked) == ("jas", "jas", (1, 5), 5)


def test_an_entry_has_settings_of_its_own() -> None:
    entry = {"name": "fine", "method": "jas", "steps": 64, "rule": "gauss-legendre", "seed": 3}
    (actual,) = named_searches([entry], DEFAULTS)
    assert actual.name == "fine"
    assert (actual.options.steps, actual.options.rule, actual.options.seed) == (64, "gauss-legendre", 3)
    assert actual.settings() == {
        "method": "jas", "granularity": "image", "search_per_t": False, "top_k": 1, "steps": 64,
        "rule": "gauss-legendre", "patch_stream": "exact", "seed": 0, "tolerance": 1e-6,
    }  # fmt: skip


@pytest.mark.parametrize("every", [0, 0.0, None])
def test_every_node_is_what_older_run_folders_imply(every: float | None) -> None:
    (full,) = named_searches([{"method": "jas", "tolerance": every}], DEFAULTS)
    assert "tolerance" not in full.settings()
    (loose,) = named_searches([{"method": "jas", "tolerance": 1e-3}], DEFAULTS)
    assert loose.settings()["tolerance"] == 1e-3


def test_a_setting_that_older_run_folders_lack_is_recorded_where_it_is_not_the_default() -> None:
    entries = [{"method": "greedy_removal", "candidates": 9, "objective": "margin"}, {"method": "jas", "candidates": 9}]
    greedy, jas = (search.settings() for search in named_searches(entries, DEFAULTS))
    assert (greedy["candidates"], greedy["objective"]) == (9, "margin")
    assert not {"candidates", "objective"} & set(jas)


FROZEN = SearchOptions(patch_stream="frozen", seed=3)


def test_a_setting_is_recorded_for_the_searches_that_use_it_only() -> None:
    entries = ["jas", "activation", {"name": "jointly", "method": "jas", "granularity": "category"}, "random"]
    searches = named_searches(entries, FROZEN)
    assert [search.options.patch_stream for search in searches] == ["frozen", "exact", "exact", "exact"]
    assert [search.settings()["patch_stream"] for search in searches] == ["frozen", "exact", "exact", "exact"]
    assert [search.settings()["seed"] for search in searches] == [0, 0, 0, 3]


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        (["activation", "random"], "`patch_stream` must be 'exact' where no search uses it, got 'frozen' with act"),
        ([{"method": "activation", "patch_stream": "frozen"}, "jas"], "must be 'exact' for method 'activation'"),
        ([{"method": "jas", "granularity": "category", "patch_stream": "frozen"}], "for granularity 'category', got"),
    ],
)  # fmt: skip
def test_a_frozen_patch_stream_that_would_be_ignored_is_refused(entries: list[Any], reason: str) -> None:
    with pytest.raises(
        ArgumentError, match=f"{reason}.*'frozen' is for method jas, joint_integrated.* with granularity 'image'"
    ):
        named_searches(entries, FROZEN)


def test_entries_may_freeze_the_patch_stream_where_others_do_not() -> None:
    entries = [{"name": name, "method": "jas", "patch_stream": "frozen"} for name in ("one", "other")]
    assert [search.options.patch_stream for search in named_searches(entries, DEFAULTS)] == ["frozen"] * 2


def test_search_per_t_is_a_search_for_every_size() -> None:
    (actual,) = named_searches([{"method": "jas", "search_per_t": True}], DEFAULTS)
    searches = actual.image_searches((1, 5, 9))
    assert [(one.name, one.options.top_k, one.options.ranked, one.sizes) for one in searches] == [
        ("jas", 1, 1, (1,)),
        ("jas@5", 5, 5, (5,)),
        ("jas@9", 9, 9, (9,)),
    ]


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([], "`methods` must be at least one search"),
        (["jas", "jas"], "got jas more than once"),
        (["guess"], "`method` must be one of"),
        ([{"name": "jas"}], "must have a `method`"),
        ([{"method": "jas", "top_k": 3}], "must have a `method` and may have"),
        ([{"method": "jas", "steps": 0}], "`steps` must be"),
        ([{"method": "jas", "name": "../x"}], "`name` of a search must be of letters"),
        ([{"method": "jas", "name": "jas@5"}], "`name` of a search must be of letters"),
        ([{"method": "jas", "granularity": "pixel"}], "`granularity` must be one of"),
        ([{"method": "activation", "granularity": "category"}], "granularity 'category' is for method 'jas'"),
        ([{"method": "jas", "granularity": "category", "search_per_t": True}], "without `search_per_t`, got 'jas'"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_refused(entries: list[Any], reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason):
        named_searches(entries, DEFAULTS)
