from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import PathBatch, category_paths, intervene, joint_score, search
from nplight.errors import ArgumentError, NplightError
from tests.path_samples import searched_paths
from tests.searching.test_search import assert_same


@pytest.fixture(scope="module")
def paths() -> PathBatch:
    return searched_paths()


def test_paths_are_indexed_and_iterated_by_image(paths: PathBatch) -> None:
    assert len(paths[0]) == 1
    assert_same(PathBatch.cat(list(paths)), paths)
    assert_same(paths[:2], PathBatch.cat([paths[0], paths[1]]))
    assert_same(paths[-1], paths[4])
    expected = PathBatch.cat([paths[3], paths[1]])
    for index in (slice(3, None, -2), [3, 1], torch.tensor([3, 1]), (3, -4)):
        assert_same(paths[index], expected)
    assert_same(paths[torch.tensor([True, False, False, True, False])], paths[[0, 3]])
    copied = paths[0]
    copied.scores[0] = 99
    assert paths.scores[0] != 99


def test_paths_say_at_which_tokens_they_were_searched(vit: VisionTransformer, images: Tensor, tmp_path: Path) -> None:
    path, every = (search(vit, images, method="activation", tokens=tokens) for tokens in ("path", "all"))
    assert ", at all tokens" in repr(every)
    assert ", at all tokens" not in repr(path)
    every.save(tmp_path / "all")
    path.save(tmp_path / "path")
    assert PathBatch.load(tmp_path / "all").tokens == every[0].tokens == every.to("cpu").tokens == "all"
    assert PathBatch.load(tmp_path / "path").tokens == "path"
    with safe_open(tmp_path / "path", framework="pt") as file:
        assert set(file.keys()) == {field.name for field in fields(PathBatch)} - {"tokens"}
    categories = category_paths(every, torch.zeros(4, dtype=torch.int64), num_classes=1)
    assert categories.tokens == "all"
    assert repr(categories).splitlines()[0].endswith("by frequency, at all tokens")
    with pytest.raises(ArgumentError, match="`batches` must be of one kind of `tokens`"):
        PathBatch.cat([path, every])


def test_paths_stand_wherever_their_neurons_do(vit: VisionTransformer, images: Tensor, targets: Tensor) -> None:
    paths = search(vit, images, targets, steps=2, top_k=2)
    assert torch.equal(
        joint_score(vit, images, targets, paths, steps=2), joint_score(vit, images, targets, paths.neurons, steps=2)
    )
    found = []
    for neurons in (paths, paths.neurons):
        with torch.no_grad(), intervene(vit, neurons, "remove"):
            found.append(vit(images))
    assert torch.equal(*found)
    labels = torch.tensor([0, 1, 1, 0])
    for options in ({}, {"top_k": 2}, {"method": "rank-mode", "top_k": 2}):
        one, other = (category_paths(given, labels, num_classes=2, **options) for given in (paths, paths.neurons))
        assert torch.equal(one.neurons, other.neurons)
    by_score = category_paths(paths, labels, num_classes=2, method="mean-score")
    expected = category_paths(paths.neurons, labels, num_classes=2, method="mean-score", scores=paths.neuron_scores)
    assert torch.equal(by_score.neurons, expected.neurons)


def test_category_paths_stand_for_those_of_the_images(vit: VisionTransformer, images: Tensor, targets: Tensor) -> None:
    neurons = torch.randint(64, (5, 3, 1), generator=torch.Generator().manual_seed(0))
    category = category_paths(neurons, torch.arange(5), num_classes=5)
    for wanted in (targets, None):
        labels = vit(images).argmax(1) if wanted is None else wanted
        expected = joint_score(vit, images, wanted, category.of(labels), steps=2)
        for chunk_size in (2, None):
            found = joint_score(vit, images, wanted, category, steps=2, chunk_size=chunk_size)
            torch.testing.assert_close(found, expected)
    with pytest.raises(ArgumentError, match=r"got the paths of 5 categories; give .*category_paths.of\(labels\)"):
        intervene(vit, category, "remove")
    one = category_paths(neurons[:1], torch.tensor([0]), num_classes=1)
    edited = []
    for given in (one, neurons[0]):
        with torch.no_grad(), intervene(vit, given, "remove"):
            edited.append(vit(images))
    assert torch.equal(*edited)
    few = category_paths(neurons[:4], torch.arange(4), num_classes=4)
    with pytest.raises(ArgumentError, match="each of the 5 categories that may be predicted, got the paths of 4"):
        joint_score(vit, images, None, few)
    with pytest.raises(NplightError, match="must be in 0 … 3, the categories that have a path, got 4 for image 2"):
        joint_score(vit, images, targets, few)
    groups = category_paths(category, torch.tensor([0, 0, 1, 1, 1]), num_classes=2)
    assert groups.images.tolist() == [2, 3]
