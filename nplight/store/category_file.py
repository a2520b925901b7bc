"""Category paths as JSON: search -> neurons per layer -> the fields of `CategoryPaths`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nplight.paths import CategoryPaths

_VERSION = 1


def to_json(paths: Mapping[str, Mapping[int, CategoryPaths]], top_k: int) -> str:
    """Category paths as text.

    Args:
        paths: search -> neurons per layer -> category paths.
        top_k: the number of neurons per layer of the path itself.
    """
    methods = {
        search: {
            str(size): {
                "method": category.method,
                "images": category.images.tolist(),
                "neurons": category.neurons.tolist(),
                "votes": category.votes.tolist(),
                # Left out for the path tokens, as in files of older versions.
                **({"tokens": category.tokens} if category.tokens != "path" else {}),
            }
            for size, category in sizes.items()
        }
        for search, sizes in paths.items()
    }
    content = {"version": _VERSION, "top_k": top_k, "methods": methods}
    return json.dumps({**content, "checksum": _checksum(content)}) + "\n"


def from_json(content: Mapping[str, Any]) -> tuple[dict[str, dict[int, CategoryPaths]], int]:
    """The arguments of `to_json`, from content of the shape in `category_shape.py`.

    Raises:
        ValueError: another version, or inconsistent numbers.
        TypeError: likewise.
    """
    if content["version"] != _VERSION:
        raise ValueError(f"version {content['version']}, and this nplight reads {_VERSION}")
    written = {name: value for name, value in content.items() if name != "checksum"}
    # Files of older versions have no checksum.
    if "checksum" in content and content["checksum"] != _checksum(written):
        raise ValueError("its content is not what was written")
    paths = {
        search: {int(size): _category_paths(fields) for size, fields in sizes.items()}
        for search, sizes in content["methods"].items()
    }
    _refuse_disagreeing(paths, content["top_k"])
    return paths, content["top_k"]


def _category_paths(fields: Mapping[str, Any]) -> CategoryPaths:
    votes = torch.tensor(fields["votes"], dtype=torch.float64)
    tokens = fields.get("tokens", "path")
    return CategoryPaths(
        _integers(fields["neurons"]), votes, _integers(fields["images"]), str(fields["method"]), tokens
    )


def _refuse_disagreeing(paths: Mapping[str, Mapping[int, CategoryPaths]], top_k: int) -> None:
    for search, sizes in paths.items():
        for size, category in sizes.items():
            if category.neurons.ndim != 3 or category.top_k != size:
                raise ValueError(f"the paths of {search} with {size} neurons per layer hold another number of neurons")
    first = next(iter(paths.values()))
    if min(top_k, max(first)) not in first:
        raise ValueError(f"there are no paths with {top_k} neurons per layer, the `top_k`")
    shapes = {tuple(category.neurons.shape[:2]) for sizes in paths.values() for category in sizes.values()}
    if len(shapes) != 1:
        raise ValueError(f"paths of different numbers of categories and layers, {sorted(shapes)}")


def _integers(values: object) -> Tensor:
    tensor = torch.tensor(values)
    if tensor.dtype != torch.int64:
        raise TypeError(f"{tensor.dtype} where whole numbers should be")
    return tensor


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
