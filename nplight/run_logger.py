"""Lightning's CSV logger, harmless until there is something to log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger


class RunLogger(CSVLogger):
    """Logs to `logs/` of a run folder.

    Lightning opens every logger before the callbacks have their say, and an opened CSV logger deletes the log of an
    earlier run. This one opens with its first metrics, so that a run that is refused at its start loses nothing.

    Args:
        run_dir: the run folder.
    """

    def __init__(self, run_dir: str | Path) -> None:
        super().__init__(run_dir, name="logs", version="")
        self._begun = False
        self._waiting: tuple[tuple[Any, ...], dict[str, Any]] | None = None

    @property
    def experiment(self) -> Any:
        """Lightning's writer, once something was logged."""
        return super().experiment if self._begun else None

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Keep the hyperparameters of model and data until there are metrics to log them with."""
        self._waiting = (args, kwargs)

    def log_metrics(self, *args: Any, **kwargs: Any) -> None:
        """Log metrics of a step."""
        self._begun = True
        if self._waiting is not None:
            super().log_hyperparams(*self._waiting[0], **self._waiting[1])
            self._waiting = None
        super().log_metrics(*args, **kwargs)

    def save(self) -> None:
        """Write what was logged."""
        if self._begun:
            super().save()
