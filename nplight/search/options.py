"""The settings of a search, checked once, for every method alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from nplight.attribution import quadrature
from nplight.errors import ArgumentError, check_at_least, check_choice, listed

PATCH_STREAMS = ("exact", "frozen")

OF_SOME_METHODS: Mapping[str, tuple[str, ...]] = MappingProxyType({"patch_stream": ("jas",), "seed": ("random",)})
"""The settings that not every method uses, and the methods that do."""

FROZEN_FOR = f"'frozen' is for method {listed(OF_SOME_METHODS['patch_stream'])} with granularity 'image'"


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What `nplight.search` was asked for, apart from the method.

    Attributes:
        top_k: neurons a layer on the path, K.
        ranked: candidates a layer that are returned, R; at least `top_k`.
        steps: quadrature nodes, m.
        rule: one of `RULES`.
        patch_stream: `exact`; or `frozen`, for method `jas` of each image alone.
        chunk_size: (image, node) rows in flight; `None` picks one.
        seed: that of what method `random` draws; at least 0.
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


def ignored(method: str, granularity: str = "image") -> tuple[str, ...]:
    """The settings that a method does not use; one path for a category's images knows no frozen patch stream."""
    by_category = ("patch_stream",) if granularity == "category" else ()
    return tuple(
        dict.fromkeys([*by_category, *(name for name, methods in OF_SOME_METHODS.items() if method not in methods)])
    )


def check_patch_stream(patch_stream: str, method: str, granularity: str = "image") -> None:
    """Refuse a frozen patch stream for a method that would ignore it, so that no result is called what it is not.

    Raises:
        ArgumentError: naming the methods that have it.
    """
    check_choice("patch_stream", patch_stream, PATCH_STREAMS)
    if patch_stream != "exact" and "patch_stream" in ignored(method, granularity):
        of = "granularity 'category'" if granularity == "category" else f"method {method!r}"
        raise ArgumentError(f"`patch_stream` must be 'exact' for {of}, got {patch_stream!r}; {FROZEN_FOR}")
