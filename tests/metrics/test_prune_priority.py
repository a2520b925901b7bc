from __future__ import annotations

import torch

from nplight.metrics import category_priority, image_priority


def test_images_of_a_category_share_their_priorities() -> None:
    first, second = category_priority([5, 7], torch.tensor([2, 0, 2]), 1)
    assert (first.shape, second.shape) == ((3, 5), (3, 7))
    assert torch.equal(first[0], first[2])
    assert not torch.equal(first[0], first[1])
    assert torch.equal(category_priority([5, 7], torch.tensor([0]), 1)[1], second[1:2])
    assert not torch.equal(category_priority([5, 7], torch.tensor([0]), 2)[1], second[1:2])


def test_each_image_has_priorities_of_its_own_whatever_its_batch() -> None:
    images = torch.rand(3, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    images[2] = images[0]
    (drawn,) = image_priority([6], images, 0)
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])
    assert torch.equal(image_priority([6], images[1:2], 0)[0], drawn[1:2])
    assert not torch.equal(image_priority([6], images[1:2], 1)[0], drawn[1:2])
