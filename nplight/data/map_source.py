"""A map-style data set of a project, as a numbered set of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image

from nplight.data.dotted_name import imported
from nplight.data.encoded_image import decode
from nplight.data.image_open import check_pixels
from nplight.data.labelled import ImageSource
from nplight.errors import ArgumentError, described

LABELS = ("targets", "labels")
"""The attributes in which data sets such as torchvision's have the labels of all images."""


class MapSource(ImageSource):
    """The images of a data set with `__len__` and `__getitem__`, in its order.

    A sample is a mapping with `image_key`, or a tuple that begins with the image: a PIL image, or the bytes of an image
    file, before any transform.

    Args:
        data: the data set; its labels, one per image, are its attribute `targets` or `labels`, or the second entries
            of its `samples`, whose first ones are then the file names.
        image_key: of the image, in samples that are mappings.
        max_pixels: maximum number of pixels of an image.

    Raises:
        ArgumentError: it has no length or no labels.
    """

    def __init__(self, data: Any, *, image_key: str = "image", max_pixels: int) -> None:
        if not hasattr(data, "__len__") or not hasattr(data, "__getitem__"):
            raise ArgumentError(
                f"`dataset` must name a data set with __len__ and __getitem__, got a {type(data).__name__}; an "
                f"iterable is read by nplight.data.StreamDataModule"
            )
        self._data = data
        self._key = image_key
        self.max_pixels = max_pixels
        samples = getattr(data, "samples", ())
        pairs = samples if isinstance(samples, Sequence) and len(samples) == len(data) else ()
        self.files = [str(file) for file, *_ in pairs] or [f"{number:09d}" for number in range(len(data))]
        labels = next((getattr(data, name) for name in LABELS if hasattr(data, name)), None)
        self.labels = self._checked([label for _, label, *_ in pairs] if labels is None else labels)
        self.class_names = tuple(map(str, getattr(data, "classes", ())))

    def open(self, number: int) -> Image.Image:
        sample = self._data[number]
        image = sample.get(self._key) if isinstance(sample, Mapping) else sample
        image = image[0] if isinstance(image, (tuple, list)) else image
        if isinstance(image, bytes):
            return decode(image, self.files[number], self.max_pixels)
        if not isinstance(image, Image.Image):
            raise ArgumentError(
                f"`dataset` must give PIL images or the bytes of image files, got {described(image)} for image "
                f"{number}; leave its transform out, which the data module has"
            )
        check_pixels(image, self.max_pixels)
        return image

    def _checked(self, labels: Any) -> torch.Tensor:
        try:
            values = torch.as_tensor(labels)
        except (TypeError, ValueError, RuntimeError):
            values = torch.empty(())
        if values.shape != (len(self._data),) or values.is_floating_point() or (len(values) and values.min() < 0):
            raise ArgumentError(
                f"`dataset` must have an attribute `targets` or `labels`, a whole number from 0 on for each of its "
                f"{len(self._data)} images, so that the split needs no image, got {described(labels)}"
            )
        return values.to(torch.int64)


def map_source(name: str, *, root: str | None = None, image_key: str = "image", max_pixels: int) -> MapSource:
    """The images of a data set of a project.

    Args:
        name: dotted name of the data set, or of a function or class that makes it.
        root: given to the function, if any.
        image_key: of the image, in samples that are mappings.
        max_pixels: maximum number of pixels of an image.

    Raises:
        ArgumentError: there is nothing of this name, or it is not such a data set.
    """
    data = imported(name, "dataset", "data set")
    if isinstance(data, type) or not hasattr(data, "__getitem__"):
        if not callable(data):
            raise ArgumentError(f"`dataset` must name a data set, or a function that makes it, got {described(data)}")
        data = data() if root is None else data(root)
    return MapSource(data, image_key=image_key, max_pixels=max_pixels)
