"""The settings of a search, checked once, for every method alike."""

from __future__ import annotations

from dataclasses import dataclass

from nplight.attribution import quadrature
from nplight.errors import ArgumentError, check_at_least, check_choice

PATCH_STREAMS = ("exact", "frozen")


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What `nplight.search` was asked for, apart from the method.

    Attributes:
        top_k: neurons a layer on the path, K.
        ranked: candidates a layer that are returned, R; at least `top_k`.
        steps: quadrature nodes, m.
        rule: one of `RULES`.
        patch_stream: `exact`; or `frozen`, for method `jas`.
        chunk_size: (image, node) rows in flight; `None` picks one.
        seed: that of what a method draws; at least 0.
    """

    top_k: int = 1
    ranked: int = 1
    steps: int = 20
    rule: str = "riemann-left"
    patch_stream: str = "exact"
    chunk_size: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        quadrature(self.steps, self.rule)
        check_at_least("top_k", self.top_k, 1)
        check_at_least("ranked", self.ranked, 1)
        if self.ranked < self.top_k:
            raise ArgumentError(f"`ranked` must be at least `top_k` = {self.top_k}, got {self.ranked}")
        check_choice("patch_stream", self.patch_stream, PATCH_STREAMS)
        if self.chunk_size is not None:
            check_at_least("chunk_size", self.chunk_size, 1)
        check_at_least("seed", self.seed, 0)
