"""Made-up runs: paths of images around a prototype of each category."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nplight import CategoryPaths, PathBatch
from nplight.store import RunFolder, write_part

HOSTILE = (
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 1">',
    "it's `${window.hacked = 1}` {{plotly}} {{data}}",
    "<a href='https://example.org/'>click</a>",
    "snow ☃ and 🦆",
    "a" * 300,
    "",
    "crane",
    "crane",
)


def write_run(
    folder: Path,
    *,
    categories: int,
    images: int,
    layers: int = 4,
    width: int = 40,
    methods: Sequence[str] = ("jas",),
    names: Sequence[str] | None = None,
    file: str = "class {label}/image {index}.png",
    parts: int = 1,
    about: bool = True,
) -> RunFolder:
    """A run folder of paths without metrics, each image's neurons its category's with probability a half."""
    draw = torch.Generator().manual_seed(0)
    run = RunFolder(folder)
    own = torch.randint(width, (categories, layers, 1), generator=draw)
    labels = torch.arange(categories).repeat_interleave(images)
    for method in methods:
        for index in torch.arange(len(labels)).chunk(parts):
            _write(run, method, index, labels[index], own, width, file, draw)
    whole = CategoryPaths(own, own.double(), torch.full((categories,), images), "frequency")
    run.write_category_paths({method: {1: whole} for method in methods}, 1)
    if about:
        told: dict[str, Any] = {"widths": [width] * layers, "names": list(names or map(str, range(categories)))}
        run.write("run.json", json.dumps(told))
    return run


def _write(
    run: RunFolder,
    method: str,
    index: Tensor,
    labels: Tensor,
    own: Tensor,
    width: int,
    file: str,
    draw: torch.Generator,
) -> None:
    shape = (len(index), own.shape[1], 1)
    other = torch.randint(width, shape, generator=draw)
    neurons = torch.where(torch.rand(shape, generator=draw) < 0.5, own[labels], other)
    scores = torch.rand(shape, generator=draw)
    probability = torch.rand(len(index), generator=draw)
    write_part(
        run,
        PathBatch(neurons, scores, scores.sum((1, 2)), labels, probability, labels, neurons, scores, probability),
        index=index,
        files=[file.format(label=label, index=one) for label, one in zip(labels.tolist(), index.tolist())],
        labels=labels,
        checksums=[(one * 7919) % 65521 for one in index.tolist()],
        search=method,
    )


def data_of(page: str) -> Any:
    found = re.search(r'id="data">([^<]+)<', page)
    assert found is not None
    return json.loads(gzip.decompress(base64.b64decode(found[1])))


def decoded(source: str) -> Tensor:
    content = base64.b64decode(source.partition(",")[2])
    return torch.from_numpy(np.array(Image.open(io.BytesIO(content)))).permute(2, 0, 1)
