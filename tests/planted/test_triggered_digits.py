"""Digits with and without the trigger."""

from __future__ import annotations

import torch

from nplight.planted.triggered_digits import seen_digits, triggered, unseen_digits


def test_the_trigger_is_in_one_corner_and_changes_a_copy() -> None:
    images = torch.zeros(2, 3, 16, 16)
    changed = triggered(images)
    assert changed.sum() == 2 * 3 * 9
    assert (changed[..., :3, :3] == 1).all()
    assert images.sum() == 0


def test_no_digit_is_both_seen_and_unseen() -> None:
    seen, unseen = seen_digits(), unseen_digits()
    assert len(seen.labels) + len(unseen.labels) == 1797
    assert len(torch.cat([seen.images, unseen.images]).flatten(1).unique(dim=0)) > 1790


def test_drawn_digits_are_distinct_and_follow_from_the_generator() -> None:
    digits = unseen_digits()
    first, again = (digits.drawn(50, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.labels, again.labels)
    assert len(first.images.flatten(1).unique(dim=0)) == 50
