"""Batches of the reference digits, for runs without a Trainer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

import nplight
from nplight.data import ImageBatch
from nplight.runs import RunContext
from tests.conftest import Reference

METHODS: list[Any] = ["jas", {"name": "jointly", "method": "jas", "granularity": "category"}]


class Halves:
    """The 40 discover and the 40 held-out digits of the reference, in batches of 16."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.vit = nplight.open_vit(reference.model)
        self.passes: list[str] = []
        self.context = RunContext(discover_pass=self.discover_pass)

    def batches(self, part: int) -> Iterator[ImageBatch]:
        for index in torch.arange(80)[part::2].split(16):
            yield ImageBatch(self.reference.images[index], self.reference.labels[index], index)

    def discover_pass(self, purpose: str) -> Iterator[ImageBatch]:
        self.passes.append(purpose)
        return self.batches(0)


@pytest.fixture
def halves(reference: Reference) -> Halves:
    return Halves(reference)
