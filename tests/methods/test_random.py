from __future__ import annotations

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import search
from nplight.methods.random import random_scores
from tests.conftest import make_vit


def test_random_paths_belong_to_the_image_and_the_seed(vit: VisionTransformer, images: Tensor) -> None:
    actual = search(vit, images, method="random", ranked=64)
    assert len({tuple(path.flatten().tolist()) for path in actual.ranking}) == 4
    assert ((actual.ranking_scores >= 0) & (actual.ranking_scores < 1)).all()
    turned = search(vit, images[[2, 0, 2]], method="random", ranked=64)
    assert torch.equal(turned.ranking, actual.ranking[[2, 0, 2]])
    other_model = make_vit(num_heads=4)
    assert torch.equal(search(other_model, images, method="random", ranked=64).ranking, actual.ranking)
    # Targets and the precision of model and images do not matter; layers differ.
    again = search(vit.float(), images.float(), torch.tensor([0, 1, 2, 3]), method="random", ranked=64)
    assert torch.equal(again.ranking, actual.ranking)
    assert not torch.equal(actual.ranking[:, 0], actual.ranking[:, 1])

    first, same, other = (torch.cat(random_scores(images, (64, 64), seed=seed), 1) for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    many = torch.cat(random_scores(torch.arange(50.0).reshape(50, 1, 1, 1), (1000,), seed=3))
    assert abs(many.mean() - 0.5) < 0.01
    assert abs(many.std() - 12**-0.5) < 0.01
