"""The names of neurons in a run folder."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nplight.report.strip_view import neuron_key
from nplight.results.neuron_names import ConceptName, Neuron, to_plain
from nplight.store import RunFolder
from nplight.store.file_names import CONCEPT_NAMES
from nplight.store.json_files import check_shape, read_json


def write_names(folder: RunFolder, names: Mapping[Neuron, ConceptName], settings: Mapping[str, Any]) -> Path:
    """Write `concept_names.json`, and give its path.

    Args:
        folder: the run folder.
        names: of neurons.
        settings: where they come from, as plain values.

    Raises:
        RunFolderError: it cannot be written.
    """
    folder.write(CONCEPT_NAMES, json.dumps({**settings, "neurons": to_plain(names)}, indent=1) + "\n")
    return folder.path / CONCEPT_NAMES


def read_names(directory: str | Path) -> dict[Neuron, ConceptName]:
    """The names of neurons of a run; none without the file.

    Raises:
        RunFolderError: it is damaged.
    """
    path = Path(directory) / CONCEPT_NAMES
    if not path.exists():
        return {}
    from nplight.report.run_shapes import NAMES_SHAPE  # imported here: slow, and not needed by most commands

    content = read_json(path)
    check_shape(path, content, NAMES_SHAPE)
    return {
        (entry["layer"], entry["neuron"]): ConceptName(entry["name"], _number(entry["score"]), _number(entry["chance"]))
        for entry in content["neurons"]
    }


def page_names(names: Mapping[Neuron, ConceptName]) -> dict[str, dict[str, Any]]:
    """For the page: `L2N217` -> word, score, chance, whether it is above chance, and all of it as text."""
    return {
        neuron_key(layer, neuron): {
            **{key: entry[key] for key in ("name", "score", "chance", "told")},
            "text": names[layer, neuron].text,
        }
        for (layer, neuron), entry in zip(names, to_plain(names))
    }


def _number(value: float | None) -> float:
    return math.nan if value is None else value
