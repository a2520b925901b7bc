from __future__ import annotations

import pytest
import torch

from nplight.data import ImageBatch
from nplight.errors import ArgumentError
from nplight.runs.counted_images import CountedImages


def batch(*index: int) -> ImageBatch:
    return ImageBatch(torch.zeros(len(index), 1, 1, 1), index=torch.tensor(index))


def test_an_image_that_comes_twice_is_refused_by_number() -> None:
    counted = CountedImages()
    counted.add(batch(1, 2, 3), loader=0)
    counted.add(batch(1, 2), loader=1)  # another loader's numbers
    counted.add(ImageBatch(torch.zeros(2, 1, 1, 1)), loader=0)  # images without a number are not known
    counted.refuse_repeated()
    counted.add(batch(4, 3), loader=0)
    with pytest.raises(ArgumentError, match=r"those with `index` 3; give the loader sampler="):
        counted.refuse_repeated()
