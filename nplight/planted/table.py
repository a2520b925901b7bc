"""The planted cases that methods are judged by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from nplight.planted.case import ALL_DECOYS, INERT_UNDER_LAYER_NORM, PlantedCase
from nplight.planted.structures import STRUCTURES

_SETS = ((), *((decoy,) for decoy in ALL_DECOYS), ALL_DECOYS)
_HIGH_PROBABILITIES = (0.98, 1 - 1e-9)
_SATURATED_WITH_EVERY_SET = ("chain", "parallel")


def _cases_of(structure: str) -> Iterator[PlantedCase]:
    """Every set of decoys, then each other axis by itself with all decoys."""
    top_k = STRUCTURES[structure].smallest_top_k
    for decoys in _SETS:
        yield PlantedCase(structure=structure, decoys=decoys, top_k=top_k)
    for probability in _HIGH_PROBABILITIES:
        for decoys in _SETS if structure in _SATURATED_WITH_EVERY_SET else _SETS[-1:]:
            yield PlantedCase(structure=structure, decoys=decoys, top_k=top_k, probability=probability)
    yield PlantedCase(structure=structure, decoys=ALL_DECOYS, top_k=3)
    yield PlantedCase(structure=structure, decoys=INERT_UNDER_LAYER_NORM, top_k=top_k, norm="layer_norm")
    yield PlantedCase(structure=structure, decoys=ALL_DECOYS, top_k=top_k, head="avg")
    yield PlantedCase(structure=structure, decoys=ALL_DECOYS, top_k=top_k, ffn="gated")
    yield PlantedCase(structure=structure, decoys=ALL_DECOYS, top_k=top_k, depth=12)


PLANTED: Mapping[str, PlantedCase] = MappingProxyType(
    {case.name: case for structure in STRUCTURES for case in _cases_of(structure)}
)
"""The cases by name. Left out: loud neurons before a LayerNorm, which are not inert (see `PlantedCase`)."""
