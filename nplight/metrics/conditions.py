"""The conditions under which a path is tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nplight.errors import check_fraction
from nplight.neurons import Tokens

ConditionName = Literal[
    "clean", "none", "removed", "enhanced", "kept", "scaled", "own clean", "own removed", "own enhanced"
]

UNEDITED = ("clean", "own clean")
"""Names of the conditions without an edit."""

_FACTORS = {"removed": 0.0, "enhanced": 2.0, "own removed": 0.0, "own enhanced": 2.0}


@dataclass(frozen=True, slots=True)
class Condition:
    """A state of the model in which predictions are made.

    Attributes:
        name: `clean`: no edit. `none`: every neuron pruned. `removed` or `enhanced`: the category's path multiplied by
            0 or 2. `scaled`: the category's path multiplied by `scale`. `kept`: neurons outside the category's path
            pruned. `own clean`, `own removed`, `own enhanced`: the same with each image's own path, on the images that
            the paths were found with.
        kept: neurons per layer of the path that is removed, enhanced, scaled or kept; `None` without a path.
        pruned: for `kept`, the pruned share of the other neurons, in [0, 1].
        tokens: the edited tokens, `path` or `all`.
        layers: edits only the first `layers` layers; `None`: all layers.
        scale: for `scaled`, the factor.

    Examples:
        >>> from nplight.metrics import Condition
        >>> condition = Condition("kept", kept=5, pruned=1.0)
        >>> condition.tokens
        'path'
    """

    name: ConditionName
    kept: int | None = None
    pruned: float | None = None
    tokens: Tokens = "path"
    layers: int | None = None
    scale: float | None = None

    @property
    def own(self) -> bool:
        """Whether it is of each image's own path, on the images that the paths were found with."""
        return self.name.startswith("own ")

    @property
    def unedited(self) -> bool:
        """Whether nothing is edited."""
        return self.name in UNEDITED

    @property
    def factor(self) -> float | None:
        """What multiplies the neurons of the path; `None` if other neurons are edited, or none."""
        return self.scale if self.name == "scaled" else _FACTORS.get(self.name)

    @property
    def main(self) -> bool:
        """Whether it edits every layer, and all neurons that it concerns, by a factor of 0 or 2.

        The control of these conditions has the full number of draws.
        """
        return self.layers is None and self.scale is None and self.pruned in (None, 1)


def all_conditions(
    top_k: int, kept: Sequence[int], fractions: Sequence[float], *, tokens: Tokens = "path"
) -> tuple[Condition, ...]:
    """Clean, removed, enhanced, and each number of neurons kept with each fraction of the others pruned.

    Args:
        top_k: neurons per layer of the path that is removed and enhanced.
        kept: numbers of neurons per layer to keep.
        fractions: shares of the other neurons to prune, in [0, 1].
        tokens: the edited tokens.

    Raises:
        ArgumentError: a fraction is outside [0, 1].

    Examples:
        >>> from nplight.metrics import all_conditions
        >>> [condition.name for condition in all_conditions(1, (1, 5), (1.0,))]
        ['clean', 'removed', 'enhanced', 'kept', 'kept']
    """
    for fraction in fractions:
        check_fraction("fractions", fraction)
    return (
        Condition("clean"),
        Condition("removed", top_k, tokens=tokens),
        Condition("enhanced", top_k, tokens=tokens),
        *(Condition("kept", size, fraction, tokens) for size in kept for fraction in dict.fromkeys(fractions)),
    )


def extreme_conditions(top_k: int, kept: Sequence[int], *, tokens: Tokens) -> tuple[Condition, ...]:
    """Every neuron pruned; the path removed; and each number of neurons kept with all others pruned.

    Args:
        top_k: neurons per layer of the path that is removed.
        kept: numbers of neurons per layer to keep.
        tokens: the edited tokens.

    Examples:
        >>> from nplight.metrics import extreme_conditions
        >>> [(condition.name, condition.kept) for condition in extreme_conditions(1, (1, 5), tokens="all")]
        [('none', None), ('removed', 1), ('kept', 1), ('kept', 5)]
    """
    return (
        Condition("none", tokens=tokens),
        Condition("removed", top_k, tokens=tokens),
        *(Condition("kept", size, 1.0, tokens) for size in kept),
    )


def depth_conditions(
    top_k: int, depth: int, shares: Sequence[float], *, tokens: Tokens = "path"
) -> tuple[Condition, ...]:
    """The path removed, and the path kept, in the first layers alone.

    Args:
        top_k: neurons per layer of the path.
        depth: layers of the model.
        shares: of the layers, in [0, 1], rounded to whole layers; shares of no layer and of all layers are left out,
            which are other conditions.
        tokens: the edited tokens.

    Raises:
        ArgumentError: a share is outside [0, 1].

    Examples:
        >>> from nplight.metrics import depth_conditions
        >>> [condition.name for condition in depth_conditions(1, 4, (0.5,))]
        ['removed', 'kept']
    """
    for share in shares:
        check_fraction("depths", share)
    layers = [count for count in sorted({int(share * depth + 0.5) for share in shares}) if 0 < count < depth]
    return tuple(
        condition
        for count in layers
        for condition in (
            Condition("removed", top_k, tokens=tokens, layers=count),
            Condition("kept", top_k, 1.0, tokens, count),
        )
    )


def dose_conditions(top_k: int, scales: Sequence[float], *, tokens: Tokens = "path") -> tuple[Condition, ...]:
    """The neurons of the path multiplied by each scale; 0, 1 and 2 are left out, which are other conditions.

    Args:
        top_k: neurons per layer of the path.
        scales: the factors.
        tokens: the edited tokens.

    Examples:
        >>> from nplight.metrics import dose_conditions
        >>> [condition.name for condition in dose_conditions(1, (0.5, 1.5))]
        ['scaled', 'scaled']
    """
    others = sorted({float(scale) for scale in scales} - {0.0, 1.0, 2.0})
    return tuple(Condition("scaled", top_k, tokens=tokens, scale=scale) for scale in others)


def own_conditions(top_k: int, *, tokens: Tokens = "path") -> tuple[Condition, ...]:
    """The conditions of each image's own path: clean, removed and enhanced.

    Examples:
        >>> from nplight.metrics import own_conditions
        >>> [condition.name for condition in own_conditions(1)]
        ['own clean', 'own removed', 'own enhanced']
    """
    return (
        Condition("own clean"),
        Condition("own removed", top_k, tokens=tokens),
        Condition("own enhanced", top_k, tokens=tokens),
    )


def whole_conditions(conditions: Sequence[Condition]) -> list[Condition]:
    """The conditions that edit every layer at the main tokens, those of the first edit.

    Args:
        conditions: of one test.

    Examples:
        >>> from nplight.metrics import all_conditions, whole_conditions
        >>> len(whole_conditions(all_conditions(1, (1, 5), (1.0,))))
        5
    """
    main = next((condition.tokens for condition in conditions if not condition.unedited), "path")
    return [one for one in conditions if one.unedited or (one.tokens == main and one.layers is None)]
