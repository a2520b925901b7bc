"""A model whose weights are of several dtypes, told apart from a fault in the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from nplight.errors import NplightError, UnsupportedModelError, listed


@contextmanager
def named_dtypes(model: nn.Module) -> Iterator[None]:
    """Say which weights are of another dtype, where a pass fails since the model does not convert between them.

    Raises:
        UnsupportedModelError: naming them and the way out.
    """
    try:
        yield
    except RuntimeError as error:
        others = _of_other_dtypes(model)
        ours = isinstance(error, (NplightError, torch.OutOfMemoryError))
        if ours or not others or "type" not in str(error):
            raise
        body, found = others
        reason = str(error).splitlines()[0]
        raise UnsupportedModelError(
            f"`model` must convert between its dtypes, but it is of {body} with {listed(found, 4)}, "
            f"and fails: {reason}; convert it with model.to({body}), or run under torch.autocast"
        ) from error


def _of_other_dtypes(model: nn.Module) -> tuple[torch.dtype, list[str]] | None:
    """The dtype of most weights, and each of another dtype by name; `None` where there is only one."""
    dtypes = {name: weight.dtype for name, weight in model.named_parameters() if weight.is_floating_point()}
    if len(set(dtypes.values())) < 2:
        return None
    kinds = list(dtypes.values())
    body = max(dict.fromkeys(kinds), key=kinds.count)
    return body, [f"{name} of {dtype}" for name, dtype in dtypes.items() if dtype != body]
