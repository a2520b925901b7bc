"""Where the boxes of a strip are, in pixels, for the template and the page's script alike."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

LAYOUT: Mapping[str, int] = MappingProxyType(
    {
        "head": 30,
        "path": 76,
        "pictured": 174,
        "runner": 52,
        "gap": 8,
        "other": 30,
        "centre": 22,
        "widest": 18,
        "mostPictured": 3,
    }
)
"""Heights of a column's parts; `centre`: of a box's link, from its top; `widest`: of a link that has every image."""
