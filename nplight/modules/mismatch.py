"""Whether the weights of a file are those of a model, by name and shape."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from nplight.errors import CheckpointError, listed

Shape = tuple[int, ...]
_MOST = 50


def check_fits(
    checkpoint: str | Path, found: Mapping[str, Shape], wanted: Mapping[str, Shape], *, resized: Collection[str] = ()
) -> None:
    """Refuse weights that are not exactly those that are wanted.

    Args:
        checkpoint: where they come from, for the message.
        found: name and shape of each weight there.
        wanted: name and shape of each weight of the model.
        resized: names whose shape may differ.

    Raises:
        CheckpointError: every missing, unexpected and differently shaped weight is named.
    """
    problems = []
    if missing := [name for name in wanted if name not in found]:
        problems.append(f"missing {listed(missing, _MOST)}")
    if unexpected := [name for name in found if name not in wanted]:
        problems.append(f"unexpected {listed(unexpected, _MOST)}")
    if reshaped := [
        f"{name} {tuple(found[name])} for {tuple(shape)}"
        for name, shape in wanted.items()
        if name in found and name not in resized and tuple(found[name]) != tuple(shape)
    ]:
        problems.append(f"of another shape {listed(reshaped, _MOST)}")
    if problems:
        raise CheckpointError(f"`checkpoint` {checkpoint} does not fit the model: {'; '.join(problems)}")
