"""Errors of a model that mixes dtypes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from nplight.errors import NplightError, UnsupportedModelError, listed


@contextmanager
def named_dtypes(model: nn.Module) -> Iterator[None]:
    """Explain an error inside that is caused by weights of different dtypes.

    Raises:
        UnsupportedModelError: naming the weights and the way out.

    Examples:
        >>> import torch
        >>> from nplight.vit import named_dtypes
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4).double())
        >>> with named_dtypes(model):
        ...     logits = model[0](torch.zeros(1, 4))  # an error of mixed dtypes would name the weights
        ...
    """
    try:
        yield
    except RuntimeError as error:
        mixed = _mixed_dtypes(model)
        explained = isinstance(error, (NplightError, torch.OutOfMemoryError))
        if explained or not mixed or "type" not in str(error):
            raise
        body, exceptions = mixed
        reason = str(error).splitlines()[0]
        raise UnsupportedModelError(
            f"`model` must convert between its dtypes, but it is of {body} with {listed(exceptions, 4)}, "
            f"and fails: {reason}; convert it with model.to({body}), or run under torch.autocast"
        ) from error


def _mixed_dtypes(model: nn.Module) -> tuple[torch.dtype, list[str]] | None:
    """The most frequent dtype, and the names of the weights of other dtypes; `None` if there is only one dtype."""
    dtypes = {name: weight.dtype for name, weight in model.named_parameters() if weight.is_floating_point()}
    if len(set(dtypes.values())) < 2:
        return None
    kinds = list(dtypes.values())
    body = max(dict.fromkeys(kinds), key=kinds.count)
    return body, [f"{name} of {dtype}" for name, dtype in dtypes.items() if dtype != body]
