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
    spent = torch.as_tensor(batch(3).evaluations)
    search = NamedSearch("jas", "jas", SearchOptions(steps=int(spent.max())))
    note = evaluation_note(read_paths(tmp_path), [search], depth=1)
    assert note == f"nodes per image: jas {spent.double().mean():.1f} of {spent.max()} (all for 1 of 3 images)"


def test_the_nodes_of_one_line_serve_all_layers(tmp_path: Path) -> None:
    write(RunFolder(tmp_path), [0, 1, 2])
    steps = int(torch.as_tensor(batch(3).evaluations).min())
    search = NamedSearch("jas", "influence_pattern", SearchOptions(steps=steps))
    assert evaluation_note(read_paths(tmp_path), [search], depth=7) == f"nodes per image: jas all {steps}"


def test_it_says_that_half_precision_takes_every_node(tmp_path: Path) -> None:
    write(RunFolder(tmp_path), [0, 1])
    search = NamedSearch("jas", "jas", SearchOptions(steps=1))
    note = evaluation_note(read_paths(tmp_path), [search], depth=1, half_precision=True)
    assert note == "nodes per image: jas all 1; half precision is coarser than `tolerance`"


def test_it_says_nothing_where_every_node_was_asked_for_or_nothing_is_known(tmp_path: Path) -> None:
    write(RunFolder(tmp_path), [0, 1])
    table = read_paths(tmp_path)
    for name, tolerance in (("jas", 0), ("jas", None), ("another", 1e-6)):
        assert evaluation_note(table, [NamedSearch(name, "jas", SearchOptions(tolerance=tolerance))], 2) is None
