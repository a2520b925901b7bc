from __future__ import annotations

import pytest
import torch

from nplight import UnsupportedModelError
from nplight.errors import ArgumentError
from nplight.vit import named_dtypes
from tests.conftest import make_vit


def test_an_error_of_mixed_dtypes_names_the_weights_and_the_way_out() -> None:
    model = make_vit()
    model.head.float()
    reason = (
        r"it is of torch.float64 with head.weight of torch.float32, head.bias of torch.float32, and fails: "
        r".*; convert it with model.to\(torch.float64\), or run under torch.autocast"
    )
    with pytest.raises(UnsupportedModelError, match=reason), named_dtypes(model):
        model(torch.zeros(1, 3, 8, 8, dtype=torch.float64))


@pytest.mark.parametrize(
    "error",
    [RuntimeError("of another kind"), ArgumentError("a wrong type"), torch.OutOfMemoryError("type"), KeyError()],
)
def test_other_errors_pass_unchanged(error: Exception) -> None:
    model = make_vit()
    model.head.float()
    with pytest.raises(type(error)) as caught, named_dtypes(model):
        raise error
    assert caught.value is error


def test_an_error_about_types_of_a_model_of_one_dtype_passes_unchanged() -> None:
    with pytest.raises(RuntimeError, match="mismatched type") as caught, named_dtypes(make_vit()):
        raise RuntimeError("mismatched type")
    assert type(caught.value) is RuntimeError
