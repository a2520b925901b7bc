"""The shape of `category_paths.json`, checked before its numbers are compared; imported when the file is read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

Count = Annotated[int, Field(ge=0, le=2**31)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Size = Annotated[str, Field(pattern="^[1-9][0-9]{0,8}$")]


class StoredPaths(TypedDict):
    """The fields of `CategoryPaths`."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]
    method: str
    images: list[Count]
    neurons: list[list[list[Count]]]
    votes: list[list[list[Number]]]


class StoredMethods(TypedDict):
    """The file: search -> neurons per layer -> paths."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]
    version: int
    top_k: Annotated[int, Field(ge=1, le=2**31)]
    methods: Annotated[
        dict[str, Annotated[dict[Size, StoredPaths], Field(min_length=1)]],
        Field(min_length=1),
    ]


SHAPE: TypeAdapter[Any] = TypeAdapter(StoredMethods)
