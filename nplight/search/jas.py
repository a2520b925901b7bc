"""Layer-progressive search by the joint attribution score (Wang et al., ICLR 2025, Algorithm 1)."""

from __future__ import annotations

from torch import Tensor

from nplight.attribution import CleanPass, FrozenPass, PathScores, frozen_pass, progressive_search, quadrature
from nplight.search.options import SearchOptions
from nplight.vit import OpenViT


def jas(vit: OpenViT, clean: CleanPass, targets: Tensor, options: SearchOptions, chunk_size: int) -> PathScores:
    """The path that grows by the `top_k` neurons of largest joint attribution score a layer.

    With `patch_stream` `frozen` an approximation, over a clean pass that keeps the patches' keys and values.
    """
    if options.patch_stream == "frozen" and not isinstance(clean, FrozenPass):
        clean = frozen_pass(vit, clean.images)
    nodes, weights = quadrature(options.steps, options.rule)
    return progressive_search(
        vit,
        clean,
        targets,
        nodes=nodes,
        weights=weights,
        top_k=options.top_k,
        ranked=options.ranked,
        chunk_size=chunk_size,
    )
