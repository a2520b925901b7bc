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
    table, search = read_paths(tmp_path), NamedSearch("jas", "jas", SearchOptions(steps=40))
    spent = torch.as_tensor(batch(3).evaluations)
    assert evaluation_note(table, [search], depth=2) == f"nodes per image: jas {spent.double().mean():.1f} of 80"


def test_it_counts_the_images_that_took_every_node(tmp_path: Path) -> None:
    write(RunFolder(tmp_path), [0, 1, 2])
    most = int(torch.as_tensor(batch(3).evaluations).max())
    search = NamedSearch("jas", "jas", SearchOptions(steps=most))
    note = evaluation_note(read_paths(tmp_path), [search], depth=1)
    assert note is not None
    assert note.endswith(f"of {most}; 1 of 3 searches took all")


def test_it_says_that_half_precision_takes_every_node(tmp_path: Path) -> None:
    write(RunFolder(tmp_path), [0, 1])
    search = NamedSearch("jas", "jas", SearchOptions(steps=1))
    note = evaluation_note(read_paths(tmp_path), [search], depth=1, half_precision=True)
    assert note is not None
    assert "2 of 2 searches took all, as always where half precision" in note


def test_it_says_nothing_where_every_node_was_asked_for_or_nothing_is_known(tmp_path: Path) -> None:
    write(RunFolder(tmp_path), [0, 1])
    table = read_paths(tmp_path)
    for name, tolerance in (("jas", 0), ("jas", None), ("another", 1e-6)):
        assert evaluation_note(table, [NamedSearch(name, "jas", SearchOptions(tolerance=tolerance))], 2) is None
