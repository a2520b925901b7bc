from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from nplight.data import ImageDigest

images = st.lists(st.tuples(st.integers(0, 9), st.integers(-1, 3), st.integers(0, 2**32 - 1)), max_size=8)


def digest(rows: list[tuple[int, int, int]], numbered: bool = True) -> ImageDigest:
    found = ImageDigest()
    index, labels, sums = (torch.tensor([row[place] for row in rows], dtype=torch.int64) for place in range(3))
    found.update(index if numbered else None, labels, sums.tolist())
    return found


@given(rows=images, cut=st.integers(0, 8), order=st.randoms())
def test_it_depends_on_neither_order_nor_batches(rows: list[tuple[int, int, int]], cut: int, order: object) -> None:
    shuffled = list(rows)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert digest(rows) == digest(shuffled[:cut]) + digest(shuffled[cut:])
    assert digest(rows).images == len(rows)


@given(rows=images, others=images)
def test_other_images_have_another(rows: list[tuple[int, int, int]], others: list[tuple[int, int, int]]) -> None:
    assert (digest(rows) == digest(others)) == (sorted(rows) == sorted(others))


@given(rows=images.filter(lambda rows: len(rows) > 1))
def test_what_changes_places_is_noticed(rows: list[tuple[int, int, int]]) -> None:
    (first, second), rest = rows[:2], rows[2:]
    for place in range(3):
        swapped = [list(first), list(second)]
        swapped[0][place], swapped[1][place] = second[place], first[place]
        others = [*map(tuple, swapped), *rest]
        assert (digest(rows) == digest(others)) == (sorted(rows) == sorted(others))  # type: ignore[arg-type]


def test_without_numbers_pixels_and_labels_count() -> None:
    assert digest([(0, 1, 5), (1, 2, 6)], numbered=False) == digest([(7, 2, 6), (9, 1, 5)], numbered=False)
    assert digest([(0, 1, 5), (1, 2, 6)], numbered=False) != digest([(0, 2, 5), (1, 1, 6)], numbered=False)
    assert str(digest([])) == "0, digest 0000000000000000"
