from __future__ import annotations

import pytest
import torch

from nplight.errors import (
    ArgumentError,
    NonFiniteError,
    NplightError,
    check_at_least,
    check_choice,
    check_dense,
    check_fraction,
    described,
    listed,
    printable,
)


def test_every_error_is_one_of_nplights_and_a_built_in_one() -> None:
    def subclasses(kind: type) -> list[type]:
        return [error for child in kind.__subclasses__() for error in (child, *subclasses(child))]

    errors = [error for error in subclasses(NplightError) if error.__module__ == "nplight.errors"]
    assert len(errors) == 7
    for error in errors:
        assert any(base in error.__mro__ for base in (ValueError, TypeError, RuntimeError)), error


def test_lists_are_shortened_and_on_one_line() -> None:
    assert listed([1, "a\nb"]) == r"1, a\nb"
    assert listed(range(10), 8) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
    assert printable("tab\t\x1b[31m☃") == r"tab\t\x1b[31m☃"


def test_values_are_described_in_one_short_line() -> None:
    assert described(0.5) == "0.5"
    assert described("a\nb") == r"'a\nb'"
    assert described("a" * 200) == "a str"
    assert described(object()) == "a object"
    assert described(torch.zeros(2, 3)) == "a torch.float32 tensor of shape (2, 3)"


@pytest.mark.parametrize("value", [0, 0.5, "1", True, None])
def test_an_integer_below_the_minimum_or_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(ArgumentError, match=r"`steps` must be an integer of at least 1, got"):
        check_at_least("steps", value, 1)
    check_at_least("steps", 1, 1)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), True, "0.5"])
def test_what_is_no_fraction_is_refused(value: object) -> None:
    with pytest.raises(ArgumentError, match=r"`share` must be a fraction in \[0, 1\] \(0\.3 for 30%\), got"):
        check_fraction("share", value)
    for share in (0, 0.3, 1):
        check_fraction("share", share)


def test_a_choice_names_the_choices() -> None:
    check_choice("rule", "a", ["a", "b"])
    for value in ("c", ["a"], None):
        with pytest.raises(ArgumentError, match=r"`rule` must be one of 'a', 'b', got"):
            check_choice("rule", value, ["a", "b"])


def test_tensors_without_plain_values_are_refused() -> None:
    check_dense("images", torch.zeros(2))
    for tensor, kind in ((torch.zeros(2, device="meta"), "meta"), (torch.zeros(2, 2).to_sparse(), "sparse")):
        with pytest.raises(ArgumentError, match=f"`images` must be a dense tensor .* {kind}"):
            check_dense("images", tensor)


def test_values_that_are_not_finite_name_their_images() -> None:
    error = NonFiniteError("the model gave NaN", [3, 5])
    assert str(error) == "the model gave NaN for the images at positions 3, 5 of the batch"
    assert (error.what, error.positions) == ("the model gave NaN", (3, 5))
