"""The callbacks for a Trainer of the `pytorch_lightning` package."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback


def for_pytorch_lightning(*callbacks: Callback) -> list[Any]:
    """The same callbacks for a Trainer of the `pytorch_lightning` package.

    That package and `lightning.pytorch` are twins whose Trainers accept only callbacks of their own.

    Args:
        callbacks: instances of nplight's.

    Returns:
        A twin of each, of a class that derives from `pytorch_lightning.Callback` too. A callback and its twin have the
        same attributes: results are found on either.

    Examples:
        >>> from nplight.callbacks import NeuronPathSearch, for_pytorch_lightning
        >>> callbacks = for_pytorch_lightning(NeuronPathSearch(run_dir="runs/mine"))
        >>> len(callbacks)
        1
    """
    import pytorch_lightning  # here, as it takes seconds that only its users should spend

    return [_twin(callback, pytorch_lightning.Callback) for callback in callbacks]


def _twin(callback: Callback, base: type) -> Any:
    kind = type(callback)
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    twin: Any = object.__new__(type(kind.__name__, (kind, base), names))
    twin.__dict__ = callback.__dict__
    return twin
