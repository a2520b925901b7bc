from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from nplight.data import batch_reader, read_batch, with_index
from nplight.errors import ArgumentError

IMAGES, LABELS, INDEX = torch.zeros(2, 3, 4, 4), torch.tensor([1, 0]), torch.tensor([7, 9])


@pytest.mark.parametrize(
    ("batch", "labels", "index"),
    [
        (IMAGES, None, None),
        ((IMAGES,), None, None),
        ([IMAGES, LABELS], LABELS, None),
        ((IMAGES, LABELS, INDEX), LABELS, INDEX),
        ({"image": IMAGES}, None, None),
        ({"image": IMAGES, "label": LABELS, "index": INDEX}, LABELS, INDEX),
    ],
)
def test_the_usual_batches_are_read(batch: object, labels: object, index: object) -> None:
    found = read_batch(batch)
    assert found.images is IMAGES
    assert found.labels is labels
    assert found.index is index
    assert found.files is None
    assert len(found) == 2


def test_files_are_kept() -> None:
    assert read_batch({"image": IMAGES, "file": ["a", "b"]}).files == ("a", "b")


def test_images_without_an_index_are_numbered_and_others_keep_theirs() -> None:
    assert with_index(read_batch(IMAGES), 5).index.tolist() == [5, 6]
    assert with_index(read_batch((IMAGES, LABELS, INDEX)), 5).index is INDEX


@pytest.mark.parametrize(
    ("batch", "found"),
    [
        ({"pixels": IMAGES}, r"keys \['pixels'\]"),
        ("images", "str"),
        ((IMAGES, "x"), "tuple"),
        ((), "tuple"),
        (None, "NoneType"),
    ],
)
def test_other_batches_are_refused(batch: object, found: str) -> None:
    with pytest.raises(ArgumentError, match=rf"the batch must be a mapping with `image` .*, got {found}"):
        read_batch(batch)


@pytest.mark.parametrize("value", [[1, 0], np.array([1, 0]), torch.tensor([1, 0], dtype=torch.uint8)])
def test_numbers_come_in_any_form_and_leave_as_int64(value: object) -> None:
    found = read_batch({"image": IMAGES, "label": value, "index": value})
    for column in (found.labels, found.index):
        assert column.tolist() == [1, 0]
        assert column.dtype == torch.int64


@pytest.mark.parametrize("value", [torch.tensor([1]), torch.tensor([[1], [0]]), torch.tensor([0.5, 1.0]), "ab"])
@pytest.mark.parametrize("name", ["label", "index"])
def test_numbers_of_another_shape_or_kind_are_refused(name: str, value: object) -> None:
    with pytest.raises(ArgumentError, match=f"`{name}` of a batch must be"):
        read_batch({"image": IMAGES, name: value})
    with pytest.raises(ArgumentError, match="`file` of a batch must name each of its 2 images, got 1 names"):
        read_batch({"image": IMAGES, "file": ["a"]})


PROJECT = """
import functools
from os import system
from pathlib import Path
from subprocess import run

def unpack(batch, key="image"):
    return batch[key]

by_key = functools.partial(unpack, key="image")
shell = functools.partial(system)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_project.py").write_text(PROJECT)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("name", ["a_project.unpack", "a_project.by_key"])
def test_a_function_of_a_project_reads_its_batches(project: None, name: str) -> None:
    assert batch_reader(name)({"image": IMAGES}).images is IMAGES


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "os.sep",
        "subprocess.run",
        "builtins.eval",
        "shutil.rmtree",
        "antigravity.geohash",
        "a_project.system",
        "a_project.run",
        "a_project.shell",
        "a_project.Path",
    ],
)
def test_names_that_are_not_of_a_project_are_refused(project: None, name: str) -> None:
    reason = f"`read_batch` must be a function of a project, got {name!r}, which comes with Python; name one of yours"
    with pytest.raises(ArgumentError, match=re.escape(reason)):
        batch_reader(name)
    assert "antigravity" not in sys.modules  # it would open a browser
