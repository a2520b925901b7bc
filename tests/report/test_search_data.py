from __future__ import annotations

import torch

from nplight.report.search_data import NEAREST, nearest


def test_the_nearest_are_the_most_similar_others() -> None:
    draw = torch.Generator().manual_seed(0)
    values = torch.rand(30, 30, generator=draw).double()
    similarity = (values + values.T) / 2
    similarity[4], similarity[:, 4] = torch.nan, torch.nan
    similarity[7], similarity[:, 7] = 0, 0
    found = nearest(similarity)
    for category, others in enumerate(found):
        cosines = {other: similarity[category, other].item() for other in range(30) if other not in (category, 4, 7)}
        wanted = [] if category in (4, 7) else sorted(cosines, key=lambda other: -cosines[other])[:NEAREST]
        assert [other for other, _ in others] == wanted
        assert [cosine for _, cosine in others] == [round(cosines[other], 3) for other in wanted]
