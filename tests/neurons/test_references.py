from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from nplight import intervene, references
from nplight.errors import ArgumentError
from nplight.neurons import References
from tests.by_hand import forward_by_hand
from tests.conftest import make_vit

FILLS = ("mean", "peak", "resample")


@pytest.fixture
def neurons() -> Tensor:
    """(3 layers, 2 neurons)."""
    return torch.tensor([[1, 5], [60, 2], [7, 8]])


def neurons_by_hand(model: VisionTransformer, images: Tensor, tokens: str) -> dict[int, Tensor]:
    """layer -> (images x edited tokens, width)."""
    pooled = slice(0, 1) if model.global_pool == "token" else slice(1, None)
    seen: dict[int, Tensor] = {}

    def read(layer: int, values: Tensor) -> Tensor:
        seen[layer] = (values[:, pooled] if tokens == "path" else values).flatten(0, 1)
        return values

    with torch.no_grad():
        forward_by_hand(model, images, read)
    return seen


def peak_by_hand(values: np.ndarray) -> float:
    """The mode of one neuron's values by numpy's histograms."""
    values = values.astype(np.float32).astype(np.float64)
    if values.min() == values.max():
        return float(values[0])
    counts, edges = np.histogram(values, bins=100)
    fullest = int(counts.argmax())
    low, high = edges[fullest], edges[fullest + 1]
    fine, fine_edges = np.histogram(values, bins=100, range=(low, high))
    best = int(fine.argmax())
    return float(fine_edges[best : best + 2].mean())


def values_of(gathered: References, images: Tensor) -> Tensor:
    return torch.cat([values.flatten() for values in gathered.of(images).values()])


@pytest.mark.parametrize("pool", ["token", "avg"])
@pytest.mark.parametrize("tokens", ["path", "all"])
def test_means_and_peaks_equal_a_slow_oracle(many: Tensor, pool: str, tokens: str) -> None:
    model = make_vit(global_pool=pool)
    oracle = neurons_by_hand(model, many, tokens)
    means = references(model, many.split(6), "mean", tokens=tokens)
    peaks = references(model, many.split(6), "peak", tokens=tokens)
    for layer, values in oracle.items():
        torch.testing.assert_close(means.of()[layer][0, 0], values.mean(0))
        expected = torch.tensor([peak_by_hand(column) for column in values.T.numpy()], dtype=torch.float64)
        torch.testing.assert_close(peaks.of()[layer][0, 0], expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("tokens", ["path", "all"])
def test_keeping_a_path_with_means_equals_a_forward_written_by_hand(
    vit: VisionTransformer, many: Tensor, images: Tensor, neurons: Tensor, tokens: str
) -> None:
    means = {layer: values.mean(0) for layer, values in neurons_by_hand(vit, many, tokens).items()}

    def edit(layer: int, values: Tensor) -> Tensor:
        kept = torch.zeros(64, dtype=torch.bool)
        kept[neurons[layer]] = True
        edited = torch.where(kept, values, means[layer])
        return edited if tokens == "all" else torch.cat([edited[:, :1], values[:, 1:]], dim=1)

    actual = references(vit, [many], "mean", tokens=tokens)
    with torch.no_grad(), intervene(vit, neurons, "keep", fill="mean", references=actual, tokens=tokens):
        edited = vit(images)
    with torch.no_grad():
        torch.testing.assert_close(edited, forward_by_hand(vit, images, edit))


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("tokens", ["path", "all"])
def test_references_do_not_depend_on_batches_or_their_order(
    vit: VisionTransformer, many: Tensor, images: Tensor, fill: str, tokens: str
) -> None:
    whole = values_of(references(vit, [many], fill, tokens=tokens), images)
    for batches in (many.split(4), many.flip(0).split(7), many.split(1)):
        split = values_of(references(vit, batches, fill, tokens=tokens), images)
        torch.testing.assert_close(split, whole, rtol=1e-12, atol=1e-14)


def test_all_zero_activations_have_zero_references(vit: VisionTransformer, many: Tensor) -> None:
    with torch.no_grad():
        for block in vit.blocks:
            block.mlp.fc1.weight.zero_()
            block.mlp.fc1.bias.zero_()
    for fill in FILLS:
        assert not values_of(references(vit, [many], fill), many[:2]).any()


def test_one_image_is_its_own_mean_and_peak(vit: VisionTransformer, images: Tensor) -> None:
    (own,) = neurons_by_hand(vit, images[:1], "path")[2]
    torch.testing.assert_close(references(vit, [images[:1]], "mean").of()[2][0, 0], own)
    assert torch.equal(references(vit, [images[:1]], "peak").of()[2][0, 0], own.float().double())


@pytest.mark.parametrize("fill", FILLS)
def test_the_model_is_left_as_it_was(many: Tensor, images: Tensor, neurons: Tensor, fill: str) -> None:
    model = make_vit(proj_drop_rate=0.5).train()
    model.blocks[1].eval()
    modes = [module.training for module in model.modules()]
    actual = references(model, many.split(9), fill)
    assert torch.equal(values_of(actual, images), values_of(actual, images))  # no dropout
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    broken = many.clone()
    broken[3] = torch.nan
    with pytest.raises(ArgumentError, match=r"finite neurons|floating-point"):
        references(model, [broken.long() if fill == "resample" else broken], fill)
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert [module.training for module in model.modules()] == modes


@pytest.mark.parametrize("fill", FILLS)
def test_half_precision_models_have_full_statistics(many: Tensor, neurons: Tensor, fill: str) -> None:
    model = make_vit().bfloat16()
    images = many.bfloat16()
    actual = references(model, images.split(5), fill)
    values = actual.of(images)
    if fill == "mean":
        torch.testing.assert_close(values[0][0, 0], neurons_by_hand(model, images, "path")[0].double().mean(0))
    with torch.no_grad(), intervene(model, neurons, "keep", fill=fill, references=values):
        assert model(images).dtype == torch.bfloat16


def test_a_loader_of_labelled_images_will_do(vit: VisionTransformer, many: Tensor) -> None:
    loader = DataLoader(TensorDataset(many, torch.zeros(23)), batch_size=4)
    for fill in ("mean", "peak"):
        expected = values_of(references(vit, many.split(4), fill), many)
        assert torch.equal(values_of(references(vit, loader, fill), many), expected)


@pytest.mark.parametrize(
    ("batches", "fill", "change", "reason"),
    [
        ([], "zero", {}, "`fill` must be one of 'mean', 'peak', 'resample', got 'zero'"),
        ([], "mean", {"tokens": "class"}, "`tokens` must be one of 'path', 'all', got 'class'"),
        (iter([]), "mean", {}, "`batches` must be something to go through several times.* got a list_iterator"),
        ([{"image": 1}], "mean", {}, "`batches` must hold tensors of images, .* got a dict"),
        ([torch.zeros(2, 3, 9, 8)], "mean", {}, r"`images` must have shape \(images, 3, 8, 8\)"),
        ([torch.zeros(2, 3, 8, 8)], "resample", {}, "`images` must have the model's dtype torch.float64"),
    ],
)
def test_bad_arguments_are_refused(
    vit: VisionTransformer, batches: object, fill: str, change: dict[str, str], reason: str
) -> None:
    with pytest.raises(ArgumentError, match=reason):
        references(vit, batches, fill, **change)


@pytest.mark.parametrize("fill", FILLS)
def test_no_images_are_refused(vit: VisionTransformer, fill: str) -> None:
    with pytest.raises(ArgumentError, match="at least one image"):
        references(vit, [], fill)


def test_references_of_another_fill_or_other_tokens_are_refused(
    vit: VisionTransformer, many: Tensor, neurons: Tensor
) -> None:
    actual = references(vit, [many], "mean", tokens="all")
    with pytest.raises(ArgumentError, match="gathered for fill='mean', got fill='peak'"):
        intervene(vit, neurons, "keep", fill="peak", references=actual, tokens="all")
    with pytest.raises(ArgumentError, match="gathered for tokens='all', got tokens='path'"):
        intervene(vit, neurons, "keep", fill="mean", references=actual)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("shares", [(11, 12), (1, 22), (0, 23), (23, 0)])
def test_processes_agree_with_one(
    vit: VisionTransformer, many: Tensor, images: Tensor, tmp_path: Path, fill: str, shares: tuple[int, int]
) -> None:
    """Every process has the references of all images, also one that has none of its own."""
    expected = values_of(references(vit, [many], fill), images)
    for actual in on_processes(vit, many.split(shares), images, fill, tmp_path):
        torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("fill", FILLS)
def test_images_that_all_processes_have_change_nothing(
    vit: VisionTransformer, many: Tensor, images: Tensor, tmp_path: Path, fill: str
) -> None:
    expected = values_of(references(vit, [many], fill), images)
    for actual in on_processes(vit, (many, many), images, fill, tmp_path):
        torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-14)


def on_processes(
    model: VisionTransformer, shares: tuple[Tensor, ...], images: Tensor, fill: str, folder: Path
) -> list[Tensor]:
    """What each of two processes has for `images` after gathering from its share."""
    arguments = (model, shares, images, fill, folder)
    torch.multiprocessing.start_processes(_process, args=arguments, nprocs=2, start_method="fork")
    return [torch.load(folder / str(rank)) for rank in range(2)]


def _process(
    rank: int, model: VisionTransformer, shares: tuple[Tensor, ...], images: Tensor, fill: str, folder: Path
) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    actual = references(model, [batch for batch in shares[rank].split(5) if len(batch)], fill)
    torch.save(values_of(actual, images), folder / str(rank))
    torch.distributed.destroy_process_group()
