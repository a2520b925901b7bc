"""Layer-progressive search by the joint attribution score (Wang et al., ICLR 2025, Algorithm 1)."""

from __future__ import annotations

from nplight.attribution import PathScores, Problem, progressive_search


def jas(problem: Problem) -> PathScores:
    """The path of the `top_k` neurons of largest joint attribution score per layer, chosen layer by layer.

    Over a `FrozenPass`, a clean pass that keeps the keys and values of the patches, it is an approximation.
    """
    return progressive_search(problem)
