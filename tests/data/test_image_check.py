from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nplight.errors import ArgumentError
from tests.data.samples import data_of, samples, scramble


def test_a_full_check_finds_damage_that_a_quick_one_does_not(folder: Path) -> None:
    scramble(folder / "cat" / "a.png")
    quick = data_of(folder)
    quick.setup("validate")
    with pytest.raises(ArgumentError, match=r"images/cat/a\.png cannot be read as an image: .*check: full"):
        samples(quick)
    with pytest.raises(ArgumentError, match=r"1 of the 9 images of .* cannot be read; .*cat/a.png"):
        data_of(folder, check="full").setup("validate")


def trailing(content: bytes) -> bytes:
    return content + bytes(5000)


def headless(content: bytes) -> bytes:
    return content[:-2]


@pytest.mark.parametrize("change", [trailing, headless])
def test_an_odd_end_is_decoded_before_it_is_called_broken(folder: Path, change: Callable[[bytes], bytes]) -> None:
    path = folder / "cat" / "a.png"
    path.write_bytes(change(path.read_bytes()))
    data_of(folder).setup("validate")


def test_deep_images_are_found_before_work_starts(folder: Path) -> None:
    Image.fromarray(np.full((8, 8), 1000, dtype=np.uint16)).save(folder / "dog" / "deep.png")
    with pytest.raises(ArgumentError, match=r"dog/deep\.png: its pixels have more than 8 bits"):
        data_of(folder).setup("validate")
