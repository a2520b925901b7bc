from __future__ import annotations

from typing import Any

import pytest
import torch
from PIL import Image

from nplight.data.map_source import MapSource, map_source
from nplight.errors import ArgumentError
from tests.data.forms import SAMPLES


class Data:
    """Of two images; what it has besides is given."""

    def __init__(self, content: Any = None, **attributes: Any) -> None:
        self._content = content or [{"image": SAMPLES[0][2]}, (Image.new("RGB", (2, 2)), 1)]
        self.__dict__.update(attributes)

    def __len__(self) -> int:
        return len(self._content)

    def __getitem__(self, number: int) -> Any:
        return self._content[number]


def source(data: Any, **options: Any) -> MapSource:
    return MapSource(data, **{"max_pixels": 1000, **options})


@pytest.mark.parametrize(
    "attributes",
    [
        {"targets": [1, 0]},
        {"labels": torch.tensor([1, 0])},
        {"samples": [("first", 1), ("second", 0)]},
        {"samples": [("first", 5), ("second", 5)], "targets": [1, 0], "classes": ["cat", "owl"]},
    ],
)
def test_labels_are_known_without_an_image(attributes: dict[str, Any]) -> None:
    class Closed(Data):
        def __getitem__(self, number: int) -> Any:
            pytest.fail("an image was read")

    found = source(Closed(**attributes))
    assert found.labels.tolist() == [1, 0]
    assert found.files == (["first", "second"] if "samples" in attributes else ["000000000", "000000001"])
    assert found.class_names == tuple(attributes.get("classes", ()))


def test_images_are_bytes_or_opened() -> None:
    found = source(Data(targets=[0, 0]))
    assert found.open(0).size == (20, 18)
    assert found.open(1).size == (2, 2)
    with pytest.raises(ArgumentError, match="its 20 x 18 pixels are more than the 100"):
        source(Data(targets=[0, 0]), max_pixels=100).open(0)
    with pytest.raises(ArgumentError, match="leave its transform out"):
        source(Data([torch.zeros(3, 2, 2)], targets=[0])).open(0)
    with pytest.raises(ArgumentError, match="got None for image 0"):
        source(Data(targets=[0, 0]), image_key="picture").open(0)


@pytest.mark.parametrize(
    "attributes", [{}, {"targets": [0]}, {"targets": [0.5, 1]}, {"labels": [-1, 0]}, {"labels": "ab"}]
)
def test_data_without_labels_is_refused(attributes: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match="must have an attribute `targets` or `labels`, a whole number from 0 on"):
        source(Data(**attributes))


def numbers() -> Any:
    return iter(range(3))


PAIR = Data(targets=[0, 1])
NUMBER = 3


def test_a_data_set_is_named_or_made() -> None:
    assert map_source(f"{__name__}.PAIR", max_pixels=10).labels.tolist() == [0, 1]
    with pytest.raises(ArgumentError, match="must have an attribute `targets`"):
        map_source(f"{__name__}.Data", max_pixels=10)
    with pytest.raises(ArgumentError, match=r"an iterable is read by nplight\.data\.StreamDataModule"):
        map_source(f"{__name__}.numbers", max_pixels=10)
    with pytest.raises(ArgumentError, match=r"must be a data set of a project, got 'os\.listdir'"):
        map_source("os.listdir", max_pixels=10)
    with pytest.raises(ArgumentError, match="must name a data set, or a function that makes it, got 3"):
        map_source(f"{__name__}.NUMBER", max_pixels=10)
