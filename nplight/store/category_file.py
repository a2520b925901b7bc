"""Category paths as JSON: method -> neurons a layer -> the fields of `CategoryPaths`."""

from __future__ import annotations

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
        paths: method -> neurons a layer -> category paths.
        top_k: the number of neurons a layer of the path itself.
    """
    methods = {
        method: {
            str(size): {
                "method": found.method,
                "images": found.images.tolist(),
                "neurons": found.neurons.tolist(),
                "votes": found.votes.tolist(),
            }
            for size, found in sizes.items()
        }
        for method, sizes in paths.items()
    }
    return json.dumps({"version": _VERSION, "top_k": top_k, "methods": methods}) + "\n"


def from_json(content: Mapping[str, Any]) -> tuple[dict[str, dict[int, CategoryPaths]], int]:
    """What `to_json` was given.

    Raises:
        Exception: of several kinds, if this is not what `to_json` wrote.
    """
    if content["version"] != _VERSION:
        raise ValueError(f"version {content['version']}, and this nplight reads {_VERSION}")
    paths = {
        method: {int(size): _category_paths(found) for size, found in sizes.items()}
        for method, sizes in content["methods"].items()
    }
    return paths, int(content["top_k"])


def _category_paths(found: Mapping[str, Any]) -> CategoryPaths:
    votes = torch.tensor(found["votes"], dtype=torch.float64)
    return CategoryPaths(_integers(found["neurons"]), votes, _integers(found["images"]), str(found["method"]))


def _integers(values: object) -> Tensor:
    tensor = torch.tensor(values)
    if tensor.dtype != torch.int64:
        raise TypeError(f"{tensor.dtype} where whole numbers should be")
    return tensor
