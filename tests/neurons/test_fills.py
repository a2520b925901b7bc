from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import intervene
from nplight.errors import ArgumentError
from nplight.neurons.fills import FixedReferences, check_values, resolve
from tests.neurons.test_intervene import ZEROS


def test_zeros_as_references_are_the_zero_fill(vit: VisionTransformer, images: Tensor, neurons: Tensor) -> None:
    def edited(**arguments: object) -> Tensor:
        draw = torch.Generator().manual_seed(5)
        with torch.no_grad(), intervene(vit, neurons, "keep", fraction=0.5, generator=draw, **arguments):
            return vit(images)

    assert torch.equal(edited(fill="mean", references=ZEROS), edited())


def test_a_fill_resolves_to_its_values() -> None:
    references = FixedReferences("mean", "path", ZEROS)
    assert resolve("zero", None, "path", [64] * 3) is None
    assert resolve("mean", references, "path", [64] * 3) is ZEROS
    assert resolve("peak", ZEROS, "all", [64] * 3) is ZEROS  # values of the caller's, for any fill
    assert references.of(torch.zeros(2, 3, 8, 8)) is ZEROS
    with pytest.raises(ArgumentError, match=r"gathered for tokens='path', got tokens='all'; gather them with"):
        resolve("mean", references, "all", [64] * 3)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (torch.zeros(1, 1, 4), "or a mapping of layers to tensors"),
        ({0: torch.zeros(1, 1, 4)}, "got none for layers 1"),
        ({0: torch.zeros(1, 1, 4), 1: 3.0}, "`references` of layer 1 must be a tensor, got 3.0"),
        ({0: torch.zeros(1, 1, 4), 1: torch.zeros(1, 1, 4)}, r"layer 1 must be .*, 5\), got \(1, 1, 4\)"),
    ],
)
def test_values_of_a_wrong_kind_are_refused(values: object, reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason):
        check_values(values, [4, 5])  # type: ignore[arg-type]
