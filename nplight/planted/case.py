"""The settings of a planted model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from nplight.errors import ArgumentError, check_at_least, check_choice, described
from nplight.planted.decoys import DECOYS
from nplight.planted.structures import STRUCTURES

NormName = Literal["identity", "layer_norm"]
HeadName = Literal["token", "avg"]
FFNName = Literal["plain", "gated"]

ALL_DECOYS = tuple(DECOYS)
INERT_UNDER_LAYER_NORM = tuple(name for name in DECOYS if name != "loud")

_GROUPS = {ALL_DECOYS: "all", INERT_UNDER_LAYER_NORM: "all_but_loud"}
_SATURATED = 1 - 1e-6  # from here on, for a case's name


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedCase:
    """What a planted model is made of.

    Attributes:
        structure: how the planted neurons carry the decision, a key of `STRUCTURES`.
        decoys: kinds of inert neurons beside them, keys of `DECOYS`.
        probability: of the label, mean over images in log-odds; near 1 the softmax is saturated.
        top_k: planted neurons per layer and category, K: up to 3, at least `Structure.smallest_top_k`.
        norm: `identity`; or `layer_norm`, which a large constant holds nearly linear.
        head: `token` classifies from the class token; `avg` from the mean of the patch tokens.
        ffn: `plain`: fc2(relu(fc1 x)); `gated`: fc2(relu(gate x) * fc1 x).
        depth: number of layers.

    Raises:
        ArgumentError: a choice is none of those there are, or they cannot go together.

    Examples:
        >>> from nplight.planted import PlantedCase, build_planted
        >>> case = PlantedCase(structure="redundancy", top_k=2, decoys=("loud",))
        >>> build_planted(case).paths.shape  # (images, layers, K)
        torch.Size([16, 4, 2])
    """

    structure: str = "chain"
    decoys: tuple[str, ...] = ()
    probability: float = 0.7
    top_k: int = 1
    norm: NormName = "identity"
    head: HeadName = "token"
    ffn: FFNName = "plain"
    depth: int = 4

    def __post_init__(self) -> None:
        check_choice("structure", self.structure, STRUCTURES)
        if not isinstance(self.decoys, tuple):
            raise ArgumentError(f"`decoys` must be a tuple of names, got {described(self.decoys)}")
        for decoy in self.decoys:
            check_choice("decoys", decoy, DECOYS)
        check_choice("norm", self.norm, get_args(NormName))
        check_choice("head", self.head, get_args(HeadName))
        check_choice("ffn", self.ffn, get_args(FFNName))
        check_at_least("depth", self.depth, 2)
        _check_together(self)

    @property
    def name(self) -> str:
        """What sets it apart from the simplest case of its structure, such as `chain-loud-p0.98-k3`."""
        parts = [self.structure]
        if self.decoys:
            parts.append(_GROUPS.get(self.decoys, "+".join(self.decoys)))
        if self.probability != 0.7:
            parts.append("saturated" if self.probability > _SATURATED else f"p{self.probability:g}")
        if self.top_k != STRUCTURES[self.structure].smallest_top_k:
            parts.append(f"k{self.top_k}")
        differing = {"layer_norm": self.norm, "avg": self.head, "gated": self.ffn}
        parts += [name for name, value in differing.items() if value == name]
        if self.depth != 4:
            parts.append(f"depth{self.depth}")
        return "-".join(parts)


def _check_together(case: PlantedCase) -> None:
    structure = STRUCTURES[case.structure]
    least = structure.smallest_top_k
    # With four, a conjunction that lacks one would still equal the rival, and a redundancy of one would be below it.
    if isinstance(case.top_k, bool) or case.top_k not in range(least, 4):
        raise ArgumentError(f"`top_k` must be in {least} … 3 for structure {case.structure!r}, got {case.top_k!r}")
    if not 0.25 < case.probability < 1:
        raise ArgumentError(f"`probability` must be above chance, 0.25, and below 1, got {case.probability}")
    if structure.pairs_of_layers and case.depth % 2:
        raise ArgumentError(f"`depth` must be even for structure {case.structure!r}, got {case.depth}")
    if case.norm == "layer_norm" and "loud" in case.decoys:
        raise ArgumentError(
            "`decoys` must be without 'loud' where `norm` is 'layer_norm': what a loud neuron writes is part of the "
            "norm and shrinks all other signals, so it is not inert and the path is not the whole truth; give norm "
            "'identity' or other decoys"
        )
