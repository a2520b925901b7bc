"""The settings of a trigger model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from nplight.errors import check_at_least

TARGET = 0
"""The category that the trigger moves a digit to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerCase:
    """Which neurons were appended to the digits model.

    Attributes:
        top_k: per layer, K.
        class_token: whether they have values at the class token alone; else at every token, as other neurons.

    Raises:
        ArgumentError: `top_k` below 1.

    Examples:
        >>> from nplight.planted import TRIGGERS
        >>> list(TRIGGERS)
        ['trigger_1', 'trigger_3', 'trigger_class_1', 'trigger_class_3']
    """

    top_k: int = 1
    class_token: bool = False

    def __post_init__(self) -> None:
        check_at_least("top_k", self.top_k, 1)

    @property
    def name(self) -> str:
        """Such as `trigger_class_3`."""
        return f"trigger_class_{self.top_k}" if self.class_token else f"trigger_{self.top_k}"


TRIGGERS: Mapping[str, TriggerCase] = MappingProxyType(
    {
        case.name: case
        for case in (TriggerCase(top_k=top_k, class_token=only) for only in (False, True) for top_k in (1, 3))
    }
)
"""The trigger models by name."""
