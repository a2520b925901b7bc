"""The settings of a search, checked once for all methods."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch

from nplight.attribution import check_objective, quadrature
from nplight.errors import ArgumentError, check_at_least, check_choice, described, listed
from nplight.methods import METHODS
from nplight.path_checks import TOKENS, Tokens

PATCH_STREAMS = ("exact", "frozen")


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """The settings of `nplight.search`, without the method.

    Attributes:
        top_k: neurons per layer on the path, K.
        ranked: candidates per layer to return, R; at least `top_k`.
        steps: quadrature nodes, m.
        rule: one of `RULES`.
        patch_stream: `exact`; or `frozen`, for methods that support it (`Method.frozen`), with granularity `image` and
            the path tokens.
        chunk_size: node rows in flight; `None`: chosen from the available memory.
        seed: for methods that draw random numbers (`Method.seeded`); at least 0.
        candidates: per layer, for methods that measure them (`Method.measures`).
        objective: what is attributed, one of `OBJECTIVES`.
        tolerance: relative error of the scores up to which fewer nodes may stand for all of them; 0 or `None`: every
            node.
        tokens: at which neurons are read and edited: `path`, the model's path tokens; or `all`.

    Examples:
        >>> from nplight.searching import SearchOptions
        >>> SearchOptions(steps=40, objective="logit").objective
        'logit'
        >>> SearchOptions(steps=0)
        Traceback (most recent call last):
            ...
        nplight.errors.ArgumentError: `steps` must be an integer of at least 1, got 0
    """

    top_k: int = 1
    ranked: int = 1
    steps: int = 20
    rule: str = "riemann-left"
    patch_stream: str = "exact"
    chunk_size: int | None = None
    seed: int = 0
    candidates: int = 20
    objective: str = "probability"
    tolerance: float | None = 1e-6
    tokens: Tokens = "path"

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
        check_at_least("candidates", self.candidates, 1)
        check_objective(self.objective)
        check_tolerance(self.tolerance)
        check_choice("tokens", self.tokens, TOKENS)
        if self.tokens == "all" and self.patch_stream != "exact":
            raise ArgumentError(
                f"`patch_stream` must be 'exact' for `tokens` 'all', which edits the other tokens too, "
                f"got {self.patch_stream!r}"
            )

    def tolerance_for(self, dtype: torch.dtype) -> float:
        """The tolerance in a model that computes in `dtype`; 0, every node, where it is below the dtype's rounding.

        Warns where float32 or float64 cannot reach it. Half precision cannot reach the default: it is documented there.
        """
        tolerance, rounding = self.tolerance or 0.0, torch.finfo(dtype).eps
        if 0 < tolerance < rounding:
            if dtype in (torch.float32, torch.float64):
                warnings.warn(
                    f"`tolerance` {tolerance:g} is below the rounding of {dtype}, {rounding:.1e}: every node is "
                    f"evaluated, as with `tolerance` 0",
                    RuntimeWarning,
                    stacklevel=2,
                )
            return 0.0
        return tolerance


def check_tolerance(tolerance: float | None) -> None:
    """Refuse a tolerance that is negative, NaN, 1 or more, or no number.

    Raises:
        ArgumentError: naming the rule.
    """
    if tolerance is None:
        return
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float)) or not 0 <= tolerance < 1:
        raise ArgumentError(
            f"`tolerance` must be a number in [0, 1), relative to the score, got {described(tolerance)}; "
            f"0 or None evaluates every node"
        )


def ignored(method: str, granularity: str = "image", tokens: str = "path") -> tuple[str, ...]:
    """The settings that a method ignores; with granularity `category` or `tokens` `all` no patch stream is frozen."""
    row = METHODS[method]
    used = {
        "patch_stream": row.frozen and granularity == "image" and tokens == "path",
        "seed": row.seeded,
        "candidates": row.measures,
    }
    return tuple(name for name, uses in used.items() if not uses)


def frozen_for() -> str:
    """For messages: the searches that support a frozen patch stream."""
    methods = listed(name for name, row in METHODS.items() if row.frozen)
    return f"'frozen' is for method {methods} with granularity 'image'"


def joint_methods() -> str:
    """For messages: the methods that support granularity `category`."""
    return listed(repr(name) for name, row in METHODS.items() if row.joint)


def check_patch_stream(patch_stream: str, method: str, granularity: str = "image") -> None:
    """Refuse a frozen patch stream for a method that would ignore it: its results would be mislabelled.

    Raises:
        ArgumentError: naming the methods that support it.
    """
    check_choice("patch_stream", patch_stream, PATCH_STREAMS)
    if patch_stream != "exact" and "patch_stream" in ignored(method, granularity):
        of = "granularity 'category'" if granularity == "category" else f"method {method!r}"
        raise ArgumentError(f"`patch_stream` must be 'exact' for {of}, got {patch_stream!r}; {frozen_for()}")
