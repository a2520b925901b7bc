from __future__ import annotations

import pytest
import torch

from nplight import PathBatch, category_paths
from nplight.errors import ArgumentError
from tests.path_samples import searched_paths


@pytest.fixture(scope="module")
def paths() -> PathBatch:
    return searched_paths()


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


def test_a_table_has_the_columns_of_stored_paths(paths: PathBatch) -> None:
    table = paths.to_pandas()
    assert list(table.columns) == [
        "target", "prediction", "probability", "score", "effect",
        "neurons", "neuron_scores", "ranking", "ranking_scores", "evaluations",
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
