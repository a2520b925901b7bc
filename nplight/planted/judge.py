"""Judging search methods by models whose paths are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from nplight.errors import ArgumentError, check_choice, described
from nplight.methods import METHODS
from nplight.metrics import Estimate, estimate
from nplight.paths import PathBatch
from nplight.planted.case import PlantedCase
from nplight.planted.causal_shares import CausalScale, causal_shares
from nplight.planted.models import MODELS, Builder
from nplight.planted.path_recovery import PathRecovery
from nplight.planted.planted_model import PlantedModel, build_planted
from nplight.searching import search

MEASURES = ("recall", "precision", "auroc", "removed", "kept")


class Finder(Protocol):
    """A function that finds paths, called as `nplight.search` is.

    Examples:
        >>> import nplight
        >>> from nplight.planted import judge
        >>> def most_active(model, images, targets, *, top_k, ranked, **settings):
        ...     return nplight.search(model, images, targets, method="activation", top_k=top_k, ranked=ranked)
        ...
        >>> judgements = judge({"most active": most_active}, ["chain", "chain-loud"])
        >>> [(judgement.case, judgement.recall.value) for judgement in judgements]  # loud decoys mislead it
        [('chain', 1.0), ('chain-loud', 0.0)]
    """

    def __call__(
        self, model: nn.Module, images: Tensor, targets: Tensor, /, *, top_k: int, ranked: int, **settings: Any
    ) -> PathBatch:
        """The paths of the images; `settings` are those that `judge` was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How well a method recovers the paths of a case.

    Attributes:
        case: name of the planted case.
        method: name of the method.
        objective: what was attributed, or `None` for the method's own default.
        seeds: how many models of the case.
        images: how many images of all models.
        recall: share of planted neurons found, with a 95% interval over images, and over seeds where there are several.
        precision: share of found neurons that are planted.
        auroc: area under the ROC curve of the ranking of each layer.
        removed: what removing the found path does, as a share of what removing the planted one does.
        kept: what keeping the found path alone does, as such a share.

    Examples:
        >>> from nplight.planted import judge
        >>> (judgement,) = judge("random", "chain-all")
        >>> judgement.recall.value < 0.2
        True
    """

    case: str
    method: str
    objective: str | None
    seeds: int
    images: int
    recall: Estimate
    precision: Estimate
    auroc: Estimate
    removed: Estimate
    kept: Estimate


def judge(
    methods: str | Sequence[str] | Mapping[str, Finder] | None = None,
    cases: str | Sequence[str] | Mapping[str, PlantedCase | Builder] | None = None,
    *,
    objective: str | None = None,
    seeds: Sequence[int] = (0,),
    replicates: int = 1000,
    dtype: torch.dtype = torch.float32,
    **settings: Any,
) -> list[Judgement]:
    """How well methods recover the paths of planted models.

    Args:
        methods: one name or several of `METHODS`, or functions by name, called as `nplight.search` is; `None`: all
            methods.
        cases: one name or several of `MODELS`; or cases by name, or functions of `seed` that make other models of
            known paths; `None`: all of `MODELS`.
        objective: what is attributed, passed to each method if given.
        seeds: one model of each case per seed.
        replicates: of the bootstrap; 0 for no intervals.
        dtype: of the models of planted cases and their images.
        **settings: further keywords for each method, `steps` say.

    Returns:
        One judgement per case and method, in order of the cases.

    Raises:
        ArgumentError: an unknown method or case, no or repeated seeds.

    Examples:
        >>> from nplight.planted import judge
        >>> (judgement,) = judge("joint_integrated_gradients", "chain-all")
        >>> judgement.recall.value
        1.0
    """
    finders, builders = _finders(methods), _builders(cases, dtype)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ArgumentError(f"`seeds` must be at least one, none of them twice, got {described(list(seeds))}")
    if objective is not None:
        settings = {**settings, "objective": objective}
    finders = {method: partial(find, **settings) for method, find in finders.items()}
    judgements = []
    for case, build in builders.items():
        for method, recovery in _recoveries(build, finders, seeds, replicates).items():
            judgements.append(_judgement(recovery, case, method, objective, len(seeds)))
    return judgements


def _recoveries(
    build: Builder, finders: Mapping[str, Finder], seeds: Sequence[int], replicates: int
) -> dict[str, PathRecovery]:
    """What each method recovers of the models of a case."""
    recoveries: dict[str, PathRecovery] = {}
    for number, seed in enumerate(seeds):
        planted = build(seed=seed)
        scale = CausalScale.of(planted)
        for method, find in finders.items():
            recovery = recoveries.setdefault(method, PathRecovery(planted.depth, replicates=replicates))
            _add(recovery, planted, scale, find, number if len(seeds) > 1 else None)
    return recoveries


def _add(recovery: PathRecovery, planted: PlantedModel, scale: CausalScale, find: Finder, model: int | None) -> None:
    """Search a model's images, and add what was found to the method's recovery; `model` numbers one of several."""
    width = planted.width
    keys = torch.arange(len(planted.labels)) + ((model or 0) << 32)
    paths = find(planted.model, planted.images, planted.labels, top_k=planted.top_k, ranked=width)
    shares = causal_shares(planted, paths.neurons, scale)
    recovery.update(paths, planted.needed_paths, shares, keys, width=width, model=model)


def _judgement(recovery: PathRecovery, case: str, method: str, objective: str | None, seeds: int) -> Judgement:
    computed = recovery.compute()
    return Judgement(
        case=case,
        method=method,
        objective=objective,
        seeds=seeds,
        images=int(computed.recall.images),
        **{measure: estimate(getattr(computed, measure)) for measure in MEASURES},
    )


def _finders(methods: str | Sequence[str] | Mapping[str, Finder] | None) -> Mapping[str, Finder]:
    if isinstance(methods, Mapping):
        return methods
    return {name: partial(search, method=name) for name in _names("methods", methods, METHODS)}


def _builders(
    cases: str | Sequence[str] | Mapping[str, PlantedCase | Builder] | None, dtype: torch.dtype
) -> dict[str, Builder]:
    if not isinstance(cases, Mapping):
        cases = {name: MODELS[name] for name in _names("cases", cases, MODELS)}
    return {
        name: partial(build_planted, case, dtype=dtype) if isinstance(case, PlantedCase) else case
        for name, case in cases.items()
    }


def _names(argument: str, names: str | Sequence[str] | None, choices: Mapping[str, Any]) -> Iterator[str]:
    """The names, checked; of the choices all for `None`."""
    for name in choices if names is None else [names] if isinstance(names, str) else names:
        check_choice(argument, name, choices)
        yield name
