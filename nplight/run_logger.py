"""Lightning's CSV logger for a run folder, opened with the first metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger


class RunLogger(CSVLogger):
    """Logs to `logs/` of a run folder.

    Lightning opens every logger before the callbacks run, and an opened CSV logger deletes the log of an earlier run.
    This logger opens with its first metrics, so that a run that is refused at its start deletes nothing.

    Args:
        run_dir: the run folder.
    """

    def __init__(self, run_dir: str | Path) -> None:
        super().__init__(run_dir, name="logs", version="")
        self._opened = False
        self._hyperparams: tuple[tuple[Any, ...], dict[str, Any]] | None = None

    @property
    def experiment(self) -> Any:
        """Lightning's writer; `None` until the first metrics are logged."""
        return super().experiment if self._opened else None

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Keep the hyperparameters of model and data, and log them with the first metrics."""
        self._hyperparams = (args, kwargs)

    def log_metrics(self, *args: Any, **kwargs: Any) -> None:
        """Log metrics of a step."""
        self._opened = True
        if self._hyperparams is not None:
            super().log_hyperparams(*self._hyperparams[0], **self._hyperparams[1])
            self._hyperparams = None
        super().log_metrics(*args, **kwargs)

    def save(self) -> None:
        """Write the logged metrics to disk."""
        if self._opened:
            super().save()
