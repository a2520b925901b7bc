"""Groups of cases whose results are shown together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from nplight.planted.case import ALL_DECOYS, PlantedCase
from nplight.planted.structures import STRUCTURES
from nplight.planted.table import PLANTED
from nplight.planted.trigger_case import TRIGGERS


@dataclass(frozen=True, slots=True)
class CaseTable:
    """Groups of cases as the columns of a table.

    Attributes:
        title: what the groups have in common.
        columns: what stands above a column -> its cases.
        measures: those that count, one table each.
    """

    title: str
    columns: Mapping[str, tuple[str, ...]]
    measures: tuple[str, ...] = ("recall",)


def _is_simple(case: PlantedCase) -> bool:
    """Whether only structure, decoys and a probability that does not saturate set a case apart."""
    plain = PlantedCase(
        structure=case.structure,
        decoys=case.decoys,
        probability=case.probability,
        top_k=STRUCTURES[case.structure].smallest_top_k,
    )
    return case == plain and case.probability <= 0.98


def _by_structure(title: str, holds: Callable[[PlantedCase], bool]) -> CaseTable:
    columns = {
        structure: tuple(
            name for name, case in PLANTED.items() if case.structure == structure and _is_simple(case) and holds(case)
        )
        for structure in STRUCTURES
    }
    return CaseTable(title, MappingProxyType(columns))


_HARD: Mapping[str, Callable[[PlantedCase], bool]] = {
    "saturated": lambda case: case.probability > 0.98,
    "K = 3": lambda case: case.top_k > STRUCTURES[case.structure].smallest_top_k,
    "LayerNorm": lambda case: case.norm == "layer_norm",
    "average": lambda case: case.head == "avg",
    "gated": lambda case: case.ffn == "gated",
    "12 layers": lambda case: case.depth == 12,
}

CASE_TABLES = (
    _by_structure("no decoys", lambda case: not case.decoys),
    _by_structure("one kind of decoys", lambda case: len(case.decoys) == 1),
    _by_structure("all decoys", lambda case: case.decoys == ALL_DECOYS),
    CaseTable(
        "harder cases, all structures",
        MappingProxyType(
            {column: tuple(name for name, case in PLANTED.items() if holds(case)) for column, holds in _HARD.items()}
        ),
    ),
    CaseTable("trained trigger", MappingProxyType({name: (name,) for name in TRIGGERS}), ("recall", "removed")),
)
"""Tables of groups: every case of `MODELS` is in one."""
