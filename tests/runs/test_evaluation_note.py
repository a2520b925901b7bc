from __future__ import annotations

from pathlib import Path

import torch

from nplight import read_paths
from nplight.runs.evaluation_note import evaluation_note
from nplight.searching import NamedSearch, SearchOptions
from nplight.store import RunFolder
from tests.store.samples import batch, write


def test_it_says_what_was_spent(tmp_path: Path) -> None:
    write(RunFolder(tmp_path), [0, 1, 2])
    table, search = read_paths(tmp_path), NamedSearch("jas", "jas", SearchOptions(steps=31))
    spent = torch.as_tensor(batch(3).evaluations)
    assert evaluation_note(table, [search], depth=2) == f"nodes per image: jas {spent.double().mean():.1f} of 62"


def test_it_says_nothing_where_every_node_was_asked_for_or_nothing_is_known(tmp_path: Path) -> None:
    write(RunFolder(tmp_path), [0, 1])
    table = read_paths(tmp_path)
    for name, tolerance in (("jas", 0), ("jas", None), ("another", 1e-6)):
        assert evaluation_note(table, [NamedSearch(name, "jas", SearchOptions(tolerance=tolerance))], 2) is None
