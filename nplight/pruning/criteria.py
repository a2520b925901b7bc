"""What decides which neurons are pruned: scores of all neurons, of which the largest are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from nplight.errors import ArgumentError, check_at_least, check_choice
from nplight.methods import METHODS
from nplight.shrinking.rankings import Batches, magnitude_scores, random_scores, search_scores, stored_scores
from nplight.store import read_paths
from nplight.vit import OpenViT

_ANEW = tuple(name for name, method in METHODS.items() if not method.control)

_PATH, _MAGNITUDE, _RANDOM = "path", "magnitude", "random"

CRITERIA = (_PATH, _MAGNITUDE, _RANDOM, *_ANEW)
"""The criteria by name: a stored path, the load of a neuron, random ones, and every method, searched anew."""


@dataclass(frozen=True, slots=True)
class CriterionSettings:
    """A criterion and its settings.

    Attributes:
        name: one of `CRITERIA`. `path`: the ranking of a finished run that was searched at all tokens. `magnitude`:
            E|z| times the norm of what the neuron writes, at all tokens. `random`: drawn once. A method: its mean score
            over images, searched at all tokens of the model as it is.
        paths: for `path`, the run folder.
        search: for `path`, the name of its search; `None`: the only one there is.
        images: for `magnitude` and methods, how many images.
        steps: for methods, quadrature nodes, of the Gauss-Legendre rule.
        seed: for `random`.

    Raises:
        ArgumentError: a setting is wrong, or is for another criterion.

    Examples:
        >>> from nplight.pruning import CriterionSettings
        >>> CriterionSettings(name="magnitude", images=32).name
        'magnitude'
    """

    name: str = "joint_integrated_gradients"
    paths: str | Path | None = None
    search: str | None = None
    images: int = 64
    steps: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("criterion", self.name, CRITERIA)
        check_at_least("images", self.images, 1)
        check_at_least("steps", self.steps, 1)
        check_at_least("seed", self.seed, 0)
        if (self.paths is None) == (self.name == _PATH):
            raise ArgumentError(
                "`paths` must be given for criterion 'path', the run folder of a search with tokens: all, got none"
                if self.paths is None
                else f"`paths` is for criterion 'path', got {self.paths} with {self.name!r}"
            )

    @property
    def needs_images(self) -> bool:
        """Whether the model as it is gets images."""
        return self.name not in (_PATH, _RANDOM)


def criterion_scores(vit: OpenViT, settings: CriterionSettings, batches: Batches, share: float) -> Sequence[Tensor]:
    """The score of every neuron, per layer (width,): larger is kept.

    Args:
        vit: the opened model.
        settings: of the criterion.
        batches: gives this process's share of the images.
        share: of the neurons that are to be kept in the end, which a stored ranking must cover.

    Raises:
        ArgumentError: the stored paths are not of all tokens, or rank too few neurons.
        RunFolderError: there are no stored paths.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> import nplight
        >>> from nplight.pruning import CriterionSettings, criterion_scores
        >>> batches = [(planted.images, planted.labels)]
        >>> scores = criterion_scores(nplight.open_vit(planted.model), CriterionSettings(name="random"), batches, 0.5)
        >>> [layer.shape for layer in scores]
        [torch.Size([256]), torch.Size([256]), torch.Size([256]), torch.Size([256])]
    """
    if settings.name == _RANDOM:
        return random_scores(vit.widths, settings.seed)
    if settings.name == _MAGNITUDE:
        return magnitude_scores(vit, batches)
    if settings.paths is None:
        options = {"steps": settings.steps, "rule": "gauss-legendre", "tolerance": 0}
        return search_scores(vit, settings.name, batches, **options)
    return _stored(vit, settings.paths, settings.search, share)


def _stored(vit: OpenViT, paths: str | Path, search: str | None, share: float) -> Sequence[Tensor]:
    table = read_paths(paths)
    if search is None and len(table.searches) > 1:
        raise ArgumentError(f"`search` must name one of the searches of {paths}, {', '.join(table.searches)}, got None")
    name = table.searches[0] if search is None else search
    table = table.where(search=name)
    layers = table.shape("ranking")[0]
    if layers != vit.depth:
        raise ArgumentError(f"`paths` {paths} must hold paths of this model of {vit.depth} layers, but has {layers}")
    scores = stored_scores(vit, name, table, share, argument="paths")
    if scores is None:
        raise ArgumentError(
            f"`paths` {paths}: the rankings of {name} hold too few neurons to keep {share:.0%} of them; rank more, by "
            f"a larger number in `kept`, or prune more"
        )
    return scores
