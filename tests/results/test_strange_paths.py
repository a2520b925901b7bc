from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nplight.errors import ArgumentError
from nplight.metrics import neuron_frequency, path_distance
from nplight.results import strangeness, strangest_paths
from nplight.store import PathTable, RunFolder, read_paths, write_part
from tests.store.samples import batch

CATEGORIES, WIDTH = 3, 9


def make_table(path: Path, images: int, seed: int = 0) -> PathTable:
    """Parts of seven images, of two categories by turns; the last image is alone in the third."""
    run, rows = RunFolder(path), batch(images, seed)
    rows.targets.copy_(torch.arange(images) % 2)
    rows.targets[-1] = 2
    for start in range(0, images, 7):
        index = torch.arange(start, min(images, start + 7))
        files = [f"image {number}" for number in index.tolist()]
        write_part(run, rows[index], index=index, files=files, labels=None, checksums=[1] * len(index), search="jas")
    return read_paths(path)


def distances(ranking: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Of one image to each of the others, by sets of neurons."""
    shares = [
        [len(set(mine) & set(theirs)) / len(mine) for mine, theirs in zip(ranking.tolist(), other, strict=True)]
        for other in others.tolist()
    ]
    return 1 - torch.tensor(shares, dtype=torch.float64).mean(1)


def test_strangeness_is_the_mean_distance_to_the_other_images_of_the_category(tmp_path: Path) -> None:
    table = make_table(tmp_path, 40)
    ranking, targets = torch.as_tensor(table["ranking"]), torch.as_tensor(table["target"])
    counts = neuron_frequency(ranking, targets, num_classes=CATEGORIES, width=WIDTH)
    found = strangeness(ranking, targets, counts, among=True)
    for image in range(39):
        others = (targets == targets[image]) & (torch.arange(40) != image)
        assert found[image].item() == pytest.approx(distances(ranking[image], ranking[others]).mean().item())
    assert found[39].isnan()
    for category in range(2):
        torch.testing.assert_close(found[targets == category].mean(), path_distance(counts)[category, category])


def test_strangeness_to_a_reference_is_the_mean_distance_to_its_images(tmp_path: Path) -> None:
    table, reference = make_table(tmp_path / "new", 8), make_table(tmp_path / "old", 30, seed=1)
    paths = strangest_paths(table, 8, num_classes=CATEGORIES, width=WIDTH, neurons=2, reference=reference)
    ranking, targets = torch.as_tensor(table["ranking"])[..., :2], torch.as_tensor(table["target"])
    others, categories = torch.as_tensor(reference["ranking"])[..., :2], torch.as_tensor(reference["target"])
    for path in paths:
        mean = distances(ranking[path.index], others[categories == targets[path.index]]).mean()
        assert path.strangeness == pytest.approx(mean.item())
        assert path.images == int((categories == path.category).sum())
    # The last is compared with the only image of its category there.
    assert sorted(path.index for path in paths) == list(range(8))


def test_the_strangest_come_first_and_name_their_image(tmp_path: Path) -> None:
    table = make_table(tmp_path, 40)
    every = strangest_paths(table, 100, num_classes=CATEGORIES, width=WIDTH)
    assert len(every) == 39
    order = [(-path.strangeness, path.index) for path in every]
    assert order == sorted(order)
    targets, probability = torch.as_tensor(table["target"]), torch.as_tensor(table["probability"])
    for path in every:
        assert path.file == f"image {path.index}"
        assert path.category == targets[path.index]
        assert path.probability == pytest.approx(probability[path.index].item())
    assert strangest_paths(table, 5, num_classes=CATEGORIES, width=WIDTH) == every[:5]
    # Of more neurons than are stored all are taken.
    assert strangest_paths(table, 100, num_classes=CATEGORIES, width=WIDTH, neurons=50) == every


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    table = make_table(tmp_path, 8)
    with pytest.raises(ArgumentError, match="`count` must be an integer of at least 1"):
        strangest_paths(table, 0, num_classes=CATEGORIES, width=WIDTH)
    with pytest.raises(ArgumentError, match="`neurons` must be an integer of at least 1"):
        strangest_paths(table, 1, num_classes=CATEGORIES, width=WIDTH, neurons=0)
