from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import PathBatch, category_paths, intervene, joint_score, search
from nplight.errors import ArgumentError, NplightError, PositionError
from tests.conftest import make_vit
from tests.searching.test_search import assert_same


@pytest.fixture(scope="module")
def paths() -> PathBatch:
    images = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return search(make_vit(), images, torch.tensor([0, 3, 4, 3, 1]), steps=2, top_k=2, ranked=4)


def test_paths_print_in_a_few_lines(paths: PathBatch) -> None:
    title, first, *_, more = repr(paths).splitlines()
    assert title == f"PathBatch: 5 images, 3 layers, K = 2, R = 4, mean score {paths.scores.mean():.4g}"
    (one, other), *_ = paths.neurons[0].tolist()
    assert first.startswith(f"  image 0: target 0 ({paths.probability[0]:.1%}), score {paths.scores[0]:.4g}, neurons ")
    assert f"neurons {one} {other} → " in first
    assert more == "  … 2 more"
    assert repr(paths[:0]) == "PathBatch: 0 images, 3 layers, K = 2, R = 4"
    category = category_paths(paths, torch.tensor([0, 1, 1, 0, 0]), num_classes=2)
    assert repr(category).splitlines()[:1] == ["CategoryPaths: 2 categories, 3 layers, K = 1, by frequency"]
    assert f"category 1: of 2 images, neurons {category.neurons[1, 0].item()} → " in repr(category)


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


@pytest.mark.parametrize("index", [5, -6, [0, 5], torch.tensor(7)])
def test_a_position_that_is_none_is_refused(paths: PathBatch, index: object) -> None:
    with pytest.raises(PositionError, match=r"position of an image must be in 0 … 4, got -?\d"):
        paths[index]  # type: ignore[index]
    assert issubclass(PositionError, (IndexError, ArgumentError))


@pytest.mark.parametrize("index", ["a", 0.5, True, None, torch.ones(4, dtype=torch.bool), slice("a", None), [[0]]])
def test_what_is_no_position_is_refused(paths: PathBatch, index: object) -> None:
    with pytest.raises(ArgumentError, match=r"images must be chosen by|a slice of images must be of whole numbers"):
        paths[index]  # type: ignore[index]


def test_a_table_has_the_columns_of_stored_paths(paths: PathBatch) -> None:
    table = paths.to_pandas()
    assert list(table.columns) == [
        "target", "prediction", "probability", "score", "neurons", "neuron_scores", "ranking", "ranking_scores",
    ]  # fmt: skip
    assert table["target"].tolist() == [0, 3, 4, 3, 1]
    assert table["score"].tolist() == paths.scores.tolist()
    assert table["neurons"][3].tolist() == paths.neurons[3].tolist()
    assert table.index.name == "image"


def test_a_figure_shows_the_neurons_of_one_image(paths: PathBatch) -> None:
    figure = paths.plot(3)
    for rank in range(2):
        assert list(figure.data[rank].y) == paths.neurons[3, :, rank].tolist()
        assert list(figure.data[rank].x) == [0, 1, 2]
    assert figure.layout.title.text.startswith("Neuron path of image 3: target 3, score ")
    assert paths[3].plot().data[0].y == figure.data[0].y
    with pytest.raises(ArgumentError, match="`image` must be the position of one image, got slice"):
        paths.plot(slice(0, 2))  # type: ignore[arg-type]


def test_saved_paths_are_loaded_as_they_were(paths: PathBatch, tmp_path: Path) -> None:
    file = tmp_path / "paths.safetensors"
    for saved in (paths[:0], paths, paths[1:3]):  # each takes the place of the one before
        saved.save(file)
        loaded = PathBatch.load(str(file))
        assert_same(loaded, saved)
        assert [loaded.scores.dtype, loaded.neurons.dtype] == [torch.float64, torch.int64]
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_shared_and_half_precision_tensors_are_saved(paths: PathBatch, tmp_path: Path) -> None:
    values = {name: getattr(paths, name) for name in PathBatch.__slots__}
    shared = PathBatch(**{**values, "neurons": paths.ranking[..., :2], "probability": paths.probability.bfloat16()})
    shared.save(tmp_path / "x")
    assert torch.equal(PathBatch.load(tmp_path / "x").probability, shared.probability)
    assert torch.equal(PathBatch.load(tmp_path / "x").neurons, paths.neurons)


def test_any_damage_to_a_file_is_refused_in_one_line(paths: PathBatch, tmp_path: Path) -> None:
    file = tmp_path / "paths"
    paths[:1].save(file)
    whole = file.read_bytes()
    generator = torch.Generator().manual_seed(0)
    places = [*range(0, 300, 7), *torch.randint(len(whole), (40,), generator=generator).tolist()]
    # In the header a space more or less is no damage: what counts is what is read.
    changed = [whole[:place] + bytes([whole[place] ^ 0x15]) + whole[place + 1 :] for place in places]
    for damaged in (*changed, whole[:-1], whole[:9], b"", whole + b"x"):
        file.write_bytes(damaged)
        with pytest.raises(ArgumentError) as caught:
            PathBatch.load(file)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith("`path` must be ")


def test_a_foreign_file_is_refused(paths: PathBatch, tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "foreign")
    with pytest.raises(ArgumentError, match=r"foreign was not written by PathBatch\.save"):
        PathBatch.load(tmp_path / "foreign")
    with pytest.raises(ArgumentError, match="there is no file"):
        PathBatch.load(tmp_path)
    for path in (None, 3, ""):
        for call in (PathBatch.load, paths.save):
            with pytest.raises(ArgumentError, match="`path` must be the path of a file, got"):
                call(path)  # type: ignore[arg-type]


def test_a_file_that_cannot_be_written_leaves_nothing(paths: PathBatch, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "none" / "x", "a\0b"):
        with pytest.raises(ArgumentError, match="`path` must be a file that can be written, but for"):
            paths.save(path)
    assert [path.name for path in tmp_path.rglob("*")] == ["folder"]


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
