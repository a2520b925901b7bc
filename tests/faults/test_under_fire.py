"""The script that fires at nplight: a little of it, and that it would tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest
import torch
from torch import nn

from tests.faults import under_fire

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork\\(\\):DeprecationWarning")


def test_nothing_is_wrong_and_nothing_left(capsys: pytest.CaptureFixture[str]) -> None:
    assert under_fire.main(["--interrupts", "4", "--kills", "1", "--searches", "9"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "4 interrupts: nothing wrong, nothing left",
        "1 kills: nothing wrong, nothing left",
        "9 searches in two threads: nothing wrong, nothing left",
    ]


def test_what_is_left_or_wrong_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    @contextmanager
    def careless(model: nn.Module) -> Iterator[None]:
        """As a guard that does not put back."""
        model.eval()
        yield

    def wrong(model: nn.Module, images: torch.Tensor, **options: object) -> object:
        found = search(model, images, **options)
        found.scores.mul_(torch.rand(()))
        return found

    search = under_fire.search
    with patch("nplight.searching.groups.undisturbed", careless):
        assert under_fire.searches(2).left == 2
    with patch.object(under_fire, "search", wrong):
        assert under_fire.searches(2).wrong == 2
        assert under_fire.main(["--interrupts", "0", "--kills", "0", "--searches", "1"]) == 1
    assert "1 searches in two threads: 1 wrong, nothing left" in capsys.readouterr().out
