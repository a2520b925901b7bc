"""Runs that the tests of the callbacks share, to be read or copied."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import DataLoader

from nplight.callbacks import NeuronPathSearch, PathEvaluation
from tests.callbacks.foreign_project import Foreign, all_callbacks, make_loaders, validate
from tests.callbacks.several_searches import compare
from tests.conftest import Reference, read_reference


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Lightning says nothing but errors."""
    logger = logging.getLogger("lightning.pytorch")
    before = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(before)


@pytest.fixture
def loaders(reference: Reference) -> list[DataLoader[Any]]:
    """Of the reference images: the discover loader and the held-out loader."""
    return make_loaders(reference)


@pytest.fixture(scope="session")
def plain_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of `all_callbacks` on the reference images, to be read."""
    folder, reference = tmp_path_factory.mktemp("plain"), read_reference("class_token")
    validate(Foreign(reference.model), make_loaders(reference), *all_callbacks(folder))
    return folder


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[NeuronPathSearch, PathEvaluation, Path]:
    """A run of `METHODS` and its folder, to be read."""
    folder, reference = tmp_path_factory.mktemp("compared"), read_reference("class_token")
    search, evaluation, _ = compare(reference, make_loaders(reference), folder)
    return search, evaluation, folder


@pytest.fixture(scope="session")
def jas_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of JAS alone, to be read or copied."""
    folder, reference = tmp_path_factory.mktemp("jas"), read_reference("class_token")
    compare(reference, make_loaders(reference), folder, ["jas"])
    return folder
