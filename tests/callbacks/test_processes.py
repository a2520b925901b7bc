"""One process, two or three, evenly or not: the same answer, each image once, nobody left waiting."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import nplight
from nplight.callbacks import NeuronPathSearch, PathEvaluation
from nplight.data import EachOnceSampler, StreamDataModule
from nplight.errors import ArgumentError
from nplight.store import RunFolder
from tests.callbacks.digits_project import Doubled, FewDigits, Folder, assert_same, folder, model, validate
from tests.callbacks.foreign_project import OPTIONS, Foreign, make_trainer, search_and_evaluate, shared_by_two
from tests.callbacks.several_searches import compare
from tests.conftest import Reference
from tests.data.forms import PREPROCESSING, SAMPLES

__all__ = ["folder"]


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


def test_a_stream_gives_the_same_on_one_process_and_two(tmp_path: Path) -> None:
    class Streamed(Doubled, StreamDataModule):
        pass

    def stream() -> Iterator[dict[str, Any]]:
        for number in torch.randperm(60, generator=torch.Generator().manual_seed(0)).tolist():
            category, name, content = SAMPLES[number * 3]
            yield {"image": content, "label": int(category[1:]), "index": number, "file": name}

    for devices in (1, 2):
        data = Streamed(stream=stream, images=60, class_names=list("abcd"), preprocessing=PREPROCESSING, batch_size=7)
        validate(model(4), data, tmp_path / f"{devices}", devices)
    assert_same(tmp_path / "1", tmp_path / "2")


@pytest.mark.parametrize("devices", [1, 2])
def test_inference_mode_changes_nothing(digits_run: Callable[[int], Path], tmp_path: Path, devices: int) -> None:
    validate(model(10), FewDigits(batch_size=7), tmp_path, devices, inference_mode=False)
    assert_same(digits_run(devices), tmp_path)


def test_two_processes_give_what_one_gives(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    search_and_evaluate(reference, loaders, tmp_path / "one")
    search_and_evaluate(
        reference,
        [shared_by_two(loader) for loader in loaders],
        tmp_path / "two",
        devices=2,
        strategy="ddp_fork",
        use_distributed_sampler=False,
    )
    one, two = (nplight.read_paths(tmp_path / name) for name in ("one", "two"))
    assert one["index"].tolist() == two["index"].tolist()
    for column in ("neurons", "ranking", "label", "prediction"):
        assert torch.equal(one[column], two[column])
    torch.testing.assert_close(one["score"], two["score"])
    (first, _), (second, _) = (RunFolder(tmp_path / name).read_category_paths() for name in ("one", "two"))
    assert all(torch.equal(first["jas"][size].neurons, second["jas"][size].neurons) for size in (1, 4))
    alone, shared = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("one", "two"))
    for row, other in zip(alone["conditions"], shared["conditions"]):
        assert row == pytest.approx(other, abs=1e-6)


def test_two_processes_compare_as_one(reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path) -> None:
    compare(reference, loaders, tmp_path / "one", fill="peak")
    compare(
        reference,
        [shared_by_two(loader) for loader in loaders],
        tmp_path / "two",
        devices=2,
        strategy="ddp_fork",
        use_distributed_sampler=False,
        fill="peak",
    )
    files = [(tmp_path / name / "category_paths.json").read_bytes() for name in ("one", "two")]
    assert files[0] == files[1]
    one, two = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("one", "two"))
    for row, other in zip(one["conditions"], two["conditions"]):
        assert row == pytest.approx(other, abs=1e-6)
    assert _numbers(one["paths"]) == pytest.approx(_numbers(two["paths"]), rel=1e-5, abs=1e-9)


def _numbers(content: Any) -> list[float]:
    if isinstance(content, dict):
        return [number for value in content.values() for number in _numbers(value)]
    if isinstance(content, list):
        return [number for value in content for number in _numbers(value)]
    return [] if content is None else [content]


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
    uneven = [DataLoader(loader.dataset, batch_size=7, sampler=Uneven(len(loader.dataset))) for loader in loaders]
    run_foreign(reference, uneven, tmp_path / "two", 2, use_distributed_sampler=False)
    first, second = ((tmp_path / name / "category_paths.json").read_bytes() for name in ("one", "two"))
    assert first == second


def test_the_sampler_of_nplight_serves_projects_that_are_not_its_own(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    run_foreign(reference, loaders, tmp_path / "one", 1)
    shared = [DataLoader(loader.dataset, batch_size=7, sampler=EachOnceSampler(loader.dataset)) for loader in loaders]
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


def test_a_model_of_other_categories_than_the_data_is_refused_before_work(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"tell apart the 10 categories of the data, .* but it knows 12"):
        validate(model(12), FewDigits(), tmp_path, 1)
    assert not (tmp_path / "paths").exists()
