from __future__ import annotations

from pathlib import Path

import pytest
from lightning.pytorch.accelerators import CPUAccelerator, CUDAAccelerator

from nplight.data.module import default_workers
from tests.data.samples import attached, cut, data_of


def test_discover_and_held_out_are_apart_and_stratified(folder: Path) -> None:
    data = data_of(folder, batch_size=4)
    discover, held_out = (
        [index for batch in loader for index in batch["index"].tolist()] for loader in data.val_dataloader()
    )
    assert sorted(discover + held_out) == list(range(9))
    assert len(held_out) == 2
    assert [index for batch in data.test_dataloader() for index in batch["index"].tolist()] == held_out


def test_what_is_predicted_is_its_images_not_the_folders(folder: Path) -> None:
    cut(folder / "dog" / "2.jpg")
    data = attached(
        data_of(
            folder,
            preprocessing="weights",
            predict_images=[str(folder / "cat" / "deep"), *map(str, folder.glob("dog/[01].jpg"))],
        )
    )
    data.trainer.state.fn = "predict"  # type: ignore[union-attr]
    data.setup("predict")
    identity = data.identity()
    (batch,) = data.predict_dataloader()
    assert len(batch["file"]) == identity["images"] == 3
    data.predict_images = [str(folder / "cat" / "a.png")]
    assert data.identity() != identity


@pytest.mark.parametrize(("accelerator", "pins"), [(CPUAccelerator, False), (CUDAAccelerator, True)])
def test_memory_is_pinned_for_cuda_and_loader_processes_stay(folder: Path, accelerator: type, pins: bool) -> None:
    data = attached(data_of(folder, num_workers=2))
    data.trainer.accelerator = accelerator()  # type: ignore[union-attr]
    for loader in data.val_dataloader():
        assert loader.pin_memory == pins
        assert loader.persistent_workers


@pytest.mark.parametrize(("processors", "workers"), [(1, 0), (2, 0), (4, 3), (64, 8)])
def test_the_processors_decide_how_many_loader_processes(
    processors: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(processors)), raising=False)
    assert default_workers() == workers
