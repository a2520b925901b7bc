"""The neurons of each layer, from whatever holds them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import open_vit, read_paths, search
from nplight.errors import ArgumentError
from nplight.runs import SearchRun, SearchSettings
from nplight.shrinking import layer_neurons
from nplight.shrinking.layer_neurons import removed_neurons
from nplight.store import RunFolder
from tests.conftest import make_vit


def test_a_path_is_ascending_and_distinct(vit: VisionTransformer) -> None:
    path = torch.tensor([[9, 5, 9], [1, 0, 2], [63, 63, 63]])
    neurons = layer_neurons(open_vit(vit), path)
    assert [chosen.tolist() for chosen in neurons] == [[5, 9], [0, 1, 2], [63]]
    removed = removed_neurons(open_vit(vit), neurons)
    for chosen, others in zip(neurons, removed):
        assert sorted([*chosen.tolist(), *others.tolist()]) == list(range(64))


def test_the_stored_paths_of_a_run(images: Tensor, targets: Tensor, tmp_path: Path) -> None:
    """Their union, where every token is a path token; else they are refused."""
    for model, whole in ((make_vit(global_pool="avg", class_token=False), True), (make_vit(), False)):
        folder = RunFolder(tmp_path / str(whole))
        vit = open_vit(model)
        with SearchRun(vit, folder, SearchSettings.of(["jas"], top_k=2, steps=2, labelled=False)) as run:
            for image in images:
                run.update(_batch(image))
        paths = search(model, images, top_k=2, steps=2)
        union = [paths.neurons[:, layer].unique().tolist() for layer in range(3)]
        table = read_paths(folder.path)
        if whole:
            assert [chosen.tolist() for chosen in layer_neurons(vit, table)] == union
        else:
            with pytest.raises(ArgumentError, match=r"PathTable, .* path tokens alone, tokens 0"):
                layer_neurons(vit, table)
            assert [chosen.tolist() for chosen in layer_neurons(vit, table, any_tokens=True)] == union


def _batch(image: Tensor):  # type: ignore[no-untyped-def]
    from nplight.data import ImageBatch

    return ImageBatch(image.unsqueeze(0))


def test_a_path_of_another_model_is_refused(vit: VisionTransformer, images: Tensor) -> None:
    wide, deep = make_vit(mlp_ratio=8.0, global_pool="avg", class_token=False), make_vit(depth=4)
    small = make_vit(global_pool="avg", class_token=False)
    paths = search(wide, images, top_k=60, steps=2)
    with pytest.raises(ArgumentError, match="in 0 … 63"):
        layer_neurons(open_vit(small), paths)
    with pytest.raises(ArgumentError, match="layers = 3"):
        layer_neurons(open_vit(vit), search(deep, images, steps=2).neurons[0])
