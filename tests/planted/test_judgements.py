"""Judgements as a table and as a file."""

from __future__ import annotations

import json
import math

import pytest

from nplight.errors import ArgumentError
from nplight.planted import MEASURES, Judgements, judge


@pytest.fixture(scope="module")
def judgements() -> Judgements:
    judged = judge(["jas", "random"], ["parallel", "parallel-loud"], replicates=50, steps=2)
    return Judgements.of(judged, "probability", 1)


def test_a_table_holds_every_measure_in_order(judgements: Judgements) -> None:
    assert judgements.cases == ["parallel", "parallel-loud"]
    assert judgements.methods == ["jas", "random"]
    assert len(judgements.estimates) == 2 * 2 * len(MEASURES)
    (direct,) = judge("jas", "parallel-loud", replicates=50, steps=2)
    assert judgements.estimates["parallel-loud", "jas", "removed"] == direct.removed


def test_a_mean_is_over_the_cases_that_were_judged(judgements: Judgements) -> None:
    assert judgements.mean(["parallel", "parallel-loud", "chain"], "jas", "recall") == 0.75
    assert math.isnan(judgements.mean(["chain"], "jas", "recall"))


def test_a_file_holds_them_and_gives_them_back(judgements: Judgements) -> None:
    content = json.loads(json.dumps(judgements.to_dict(), allow_nan=False))
    record = content["records"][0]
    assert (record["case"], record["method"], record["measure"]) == ("parallel", "jas", "recall")
    assert (record["value"], record["high"], record["images"]) == (1, 1, 16)
    assert 0.8 < record["low"] < 1
    again = Judgements.from_dict(content)
    assert again.to_dict() == content
    assert again.methods == judgements.methods


def test_what_is_not_defined_is_none_in_a_file() -> None:
    bare = Judgements.of(judge("activation", "backup", replicates=0), "probability", 1).to_dict()
    assert bare["records"][0]["low"] is None
    assert math.isnan(Judgements.from_dict(bare).estimates["backup", "activation", "recall"].low)


@pytest.mark.parametrize("content", [{}, {"records": [{}]}, {"records": 1}])
def test_another_content_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(ArgumentError, match="`content` must be what the command `planted` writes"):
        Judgements.from_dict(content)
