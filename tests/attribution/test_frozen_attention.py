from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

from nplight.attribution.frozen_attention import Frozen, attend_frozen
from nplight.attribution.jvp import dual_level


def attention_by_hand(query: Tensor, key: Tensor, value: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Row by row: its own key and value in the place of the class token's."""
    out = torch.zeros_like(query)
    for image, head, row in torch.cartesian_prod(*map(torch.arange, query.shape[:3])).tolist():
        at = (image, head)
        own = [torch.cat([one[at][row : row + 1], all_[at][1:]]) for one, all_ in ((key, keys), (value, values))]
        out[image, head, row] = (own[0] @ query[at][row] * 0.3).softmax(0) @ own[1]
    return out


def test_attention_among_frozen_tokens_and_both_its_derivatives() -> None:
    draw = torch.Generator().manual_seed(0)
    own, tangent = (torch.randn(3, 2, 3, 4, 5, generator=draw, dtype=torch.float64) for _ in range(2))
    frozen = [torch.randn(2, 3, 6, 5, generator=draw, dtype=torch.float64) for _ in range(2)]
    kept = Frozen.empty(2, frozen[0])
    for image in (1, 0):
        kept.keep(slice(image, image + 1), *(one[image : image + 1] for one in frozen), 0.3)
    torch.testing.assert_close(attend_frozen(own, kept, 0.3), attention_by_hand(*own, *frozen))
    assert torch.autograd.gradcheck(lambda heads: attend_frozen(heads, kept, 0.3), own.clone().requires_grad_())

    with torch.no_grad(), dual_level():
        value, along = forward_ad.unpack_dual(attend_frozen(forward_ad.make_dual(own, tangent), kept, 0.3))
        torch.testing.assert_close(value, attention_by_hand(*own, *frozen))
    step = 1e-6
    ahead, behind = (attention_by_hand(*(own + sign * step * tangent), *frozen) for sign in (1, -1))
    torch.testing.assert_close(along, (ahead - behind) / (2 * step), rtol=1e-7, atol=1e-8)
