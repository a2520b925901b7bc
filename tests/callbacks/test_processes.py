"""One process, two or three, evenly or not: the same answer, each image once, nobody left waiting."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.strategies import FSDPStrategy
from lightning.pytorch.trainer.states import TrainerFn
from PIL import Image
from torch.utils.data import DataLoader, DistributedSampler, Subset, TensorDataset

import nplight
from nplight.callbacks import NeuronPathSearch, PathEvaluation, PathSelectivity
from nplight.data import DigitsDataModule, EachOnceSampler, ImageFolderDataModule
from nplight.errors import ArgumentError
from nplight.modules import ViTClassifier
from tests.callbacks.test_callbacks import OPTIONS, Foreign, loaders, make_trainer, quiet
from tests.conftest import Reference

__all__ = ["loaders", "quiet"]

METHODS: list[Any] = ["jas", "activation", {"name": "jointly", "method": "jas", "granularity": "category"}]


def model(num_classes: int) -> ViTClassifier:
    torch.manual_seed(0)
    sizes = {"img_size": 16, "patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2}
    classifier = ViTClassifier("vit_tiny_patch16_224", num_classes=num_classes, model_args=sizes)
    with torch.no_grad():
        for parameter in classifier.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return classifier.double()


class Doubled:
    """Images in float64, where no order of summation can choose between two neurons."""

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        return {**batch, "image": batch["image"].double()}


class FewDigits(Doubled, DigitsDataModule):
    def evaluation_data(self) -> Any:
        data, labels = super().evaluation_data()
        return Subset(data, range(60)), labels[:60]


class Folder(Doubled, ImageFolderDataModule):
    pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Categories of 2, 3, 4 and 11 images: no process but one has an image of each."""
    draw = np.random.default_rng(0)
    for name, count in {"ant": 2, "bee": 11, "cat": 3, "dog": 4}.items():
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(count):
            pixels = draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    return tmp_path / "images"


def validate(module: LightningModule, data: LightningDataModule, run: Path, devices: int, **options: Any) -> None:
    shared = {} if devices == 1 else {"strategy": "ddp_fork", "devices": devices}
    callbacks = [
        NeuronPathSearch(run_dir=run, methods=METHODS, **OPTIONS),
        PathEvaluation(run_dir=run, fractions=(0.5, 1.0), fill="peak", replicates=20),
        PathSelectivity(run_dir=run, replicates=20),
    ]
    make_trainer(*callbacks, **shared, **options).validate(module, data, verbose=False)


def assert_same(one: Path, other: Path) -> None:
    first, second = (nplight.read_paths(run) for run in (one, other))
    assert first.searches == second.searches
    for method in first.searches:
        rows, others = first.where(search=method).to_pandas(), second.where(search=method).to_pandas()
        for column in ("index", "file", "label", "target", "prediction"):
            assert rows[column].tolist() == others[column].tolist(), column
        for column in ("neurons", "ranking"):
            assert np.array_equal(np.stack(rows[column]), np.stack(others[column])), column
        for column in ("score", "probability"):
            np.testing.assert_allclose(rows[column], others[column], rtol=1e-9)
    assert (one / "category_paths.json").read_bytes() == (other / "category_paths.json").read_bytes()
    for name in ("metrics.json", "selectivity.json"):
        if not (one / name).exists():
            assert not (other / name).exists()
            continue
        texts = [_flat(json.loads((run / name).read_text())) for run in (one, other)]
        assert texts[0] == pytest.approx(texts[1], rel=1e-6, abs=1e-9), name


def _flat(content: Any, at: str = "") -> dict[str, Any]:
    """Every value of nested mappings and lists under its place; texts count as equal to themselves alone."""
    if isinstance(content, (dict, list)):
        items = content.items() if isinstance(content, dict) else enumerate(content)
        return {place: value for key, part in items for place, value in _flat(part, f"{at}/{key}").items()}
    return {f"{at}={content}": 0.0} if content is None or isinstance(content, str) else {at: float(content)}


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """The run folder of the digits on that many processes, to be read."""

    @cache
    def run(devices: int) -> Path:
        folder = tmp_path_factory.mktemp("digits")
        validate(model(10), FewDigits(batch_size=7), folder, devices)
        return folder

    return run


def test_digits_give_the_same_on_one_two_and_three_processes(digits_run: Callable[[int], Path]) -> None:
    assert len(nplight.read_paths(digits_run(1)).where(search="jas")) == len(FewDigits().splits()[0])
    assert_same(digits_run(1), digits_run(2))
    assert_same(digits_run(1), digits_run(3))


def test_unequal_categories_give_the_same_on_one_two_and_three_processes(folder: Path, tmp_path: Path) -> None:
    def data() -> Folder:
        return Folder(folder=str(folder), batch_size=3, preprocessing_overrides={"image_size": [16, 16]})

    for devices in (1, 2, 3):
        validate(model(4), data(), tmp_path / f"{devices}", devices)
    assert_same(tmp_path / "1", tmp_path / "2")
    assert_same(tmp_path / "1", tmp_path / "3")


@pytest.mark.parametrize("devices", [1, 2])
def test_inference_mode_changes_nothing(digits_run: Callable[[int], Path], tmp_path: Path, devices: int) -> None:
    validate(model(10), FewDigits(batch_size=7), tmp_path, devices, inference_mode=False)
    assert_same(digits_run(devices), tmp_path)


def test_fewer_images_than_processes_are_refused(folder: Path, tmp_path: Path) -> None:
    for image in [*folder.glob("bee/*"), *folder.glob("dog/*")]:
        if int(image.stem) > 1:
            image.unlink()
    data = Folder(folder=str(folder), preprocessing_overrides={"image_size": [16, 16]})
    # Eight images stay, four of them held out.
    with pytest.raises(Exception, match=r"a loader of 4 images cannot be shared by 5 processes.*at most 4 devices"):
        validate(model(4), data, tmp_path / "run", 5)


class Uneven(torch.utils.data.Sampler[int]):
    """The first process has all images but one."""

    def __init__(self, length: int) -> None:
        self._length = length

    def _share(self) -> range:
        rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        return range(1, self._length) if rank == 0 else range(1)

    def __iter__(self) -> Iterator[int]:
        return iter(self._share())

    def __len__(self) -> int:
        return len(self._share())


def run_foreign(reference: Reference, loaders: list[Any], run: Path, devices: int, **options: Any) -> None:
    shared = {} if devices == 1 else {"strategy": "ddp_fork", "devices": devices}
    callbacks = [NeuronPathSearch(run_dir=run, **OPTIONS), PathEvaluation(run_dir=run, fractions=(1.0,))]
    make_trainer(*callbacks, **shared, **options).validate(Foreign(reference.model), loaders, verbose=False)


def test_one_process_may_have_nearly_all_images(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    run_foreign(reference, loaders, tmp_path / "one", 1)
    uneven = [DataLoader(one.dataset, batch_size=7, sampler=Uneven(len(one.dataset))) for one in loaders]
    run_foreign(reference, uneven, tmp_path / "two", 2, use_distributed_sampler=False)
    first, second = ((tmp_path / name / "category_paths.json").read_bytes() for name in ("one", "two"))
    assert first == second


def test_the_sampler_of_nplight_serves_projects_that_are_not_its_own(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    run_foreign(reference, loaders, tmp_path / "one", 1)
    shared = [DataLoader(one.dataset, batch_size=7, sampler=EachOnceSampler(one.dataset)) for one in loaders]
    # Lightning's `use_distributed_sampler` is left on.
    run_foreign(reference, shared, tmp_path / "three", 3)
    first, second = ((tmp_path / name / "category_paths.json").read_bytes() for name in ("one", "three"))
    assert first == second


@pytest.mark.filterwarnings("ignore:Using `DistributedSampler` with the dataloaders")
def test_samplers_that_pad_are_refused_before_work(
    reference: Reference, digits_run: Callable[[int], Path], tmp_path: Path
) -> None:
    data = TensorDataset(reference.images[:9], reference.labels[:9], torch.arange(9))
    loader = DataLoader(data, batch_size=4)
    with pytest.raises(Exception, match="validation loader 1 gives 10 images to 2 processes where there are 9"):
        run_foreign(reference, [loader, loader], tmp_path / "lightning", 2)
    padding = DataLoader(data, batch_size=4, sampler=DistributedSampler(data, 4, 0))
    evaluation = PathEvaluation(paths=digits_run(1), run_dir=tmp_path / "new")
    reason = "gives 12 images to 4 processes where there are 9: it repeats 3"
    with pytest.raises(ArgumentError, match=reason):
        make_trainer(NeuronPathSearch(run_dir=tmp_path / "new")).validate(Foreign(reference.model), padding)
    with pytest.raises(ArgumentError, match=reason):
        make_trainer(evaluation).test(model(10), padding)
    with pytest.raises(ArgumentError, match=reason):
        make_trainer(NeuronPathSearch(run_dir=tmp_path / "new")).predict(Foreign(reference.model), padding)
    assert not (tmp_path / "lightning" / "paths").exists()
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("devices", [1, 2])
def test_images_that_count_twice_are_refused(reference: Reference, tmp_path: Path, devices: int) -> None:
    """The held-out images of each process hold number 3."""
    data = TensorDataset(reference.images, reference.labels, torch.arange(80))
    again = TensorDataset(reference.images, reference.labels, torch.arange(80).where(torch.arange(80) != 40, 3))
    loaders = [DataLoader(part, batch_size=40, sampler=EachOnceSampler(part)) for part in (data, again)]
    with pytest.raises(Exception, match=r"images came more than once .*`index` 3;"):
        run_foreign(reference, loaders, tmp_path, devices)
    assert not (tmp_path / "metrics.json").exists()


def test_sharded_weights_are_refused_by_name(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    callbacks = [NeuronPathSearch(), PathEvaluation(paths="any")]
    trainer = make_trainer(*callbacks)
    monkeypatch.setattr(trainer._accelerator_connector, "strategy", FSDPStrategy())
    trainer.state.fn = TrainerFn.VALIDATING
    for callback in callbacks:
        with pytest.raises(ArgumentError, match="FSDPStrategy spreads its weights; use strategy='ddp'"):
            callback.setup(trainer, Foreign(reference.model), "validate")


def test_a_model_of_other_categories_than_the_data_is_refused_before_work(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"tell apart the 10 categories of the data, .* but it knows 12"):
        validate(model(12), FewDigits(), tmp_path, 1)
    assert not (tmp_path / "paths").exists()
