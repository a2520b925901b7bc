from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import open_vit, record
from nplight.errors import ArgumentError
from nplight.neurons.mean_reference import MeanReference


@pytest.mark.parametrize("tokens", ["path", "all"])
def test_it_is_the_mean_over_all_images_and_tokens(vit: VisionTransformer, many: Tensor, tokens: str) -> None:
    step = MeanReference(open_vit(vit), tokens=tokens)
    for batch in many.split(5):
        step.update(batch)
    with torch.no_grad(), record(vit, tokens=tokens) as values:
        vit(many)
    references = step.finish()
    assert (references.fill, references.tokens) == ("mean", tokens)
    for layer, mean in references.of().items():
        torch.testing.assert_close(mean, values[layer].mean((0, 1), keepdim=True))


def test_a_single_precision_model_is_summed_in_double(vit: VisionTransformer, many: Tensor) -> None:
    step = MeanReference(open_vit(vit.float()))
    step.update(many.float())
    assert {values.dtype for values in step.finish().of().values()} == {torch.float64}


def test_without_images_there_is_no_mean(vit: VisionTransformer) -> None:
    with pytest.raises(ArgumentError, match="at least one image"):
        MeanReference(open_vit(vit)).finish()
