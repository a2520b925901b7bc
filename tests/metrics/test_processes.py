"""Two real processes against one."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from nplight.metrics import ConditionMetrics, NeuronFrequency, PathAgreement, Selectivity, all_conditions
from tests.metrics.test_frequency import drawn_paths

CONDITIONS = all_conditions(1, (4,), (1.0,))


def results(places: torch.Tensor) -> dict[str, object]:
    """What all metrics say of the images at `places`, taken one at a time, and those of other processes."""
    neurons, labels = drawn_paths()
    draw = torch.Generator().manual_seed(0)
    probabilities = [torch.randn(30, 4, generator=draw).softmax(1) for _ in CONDITIONS]
    conditions = ConditionMetrics(CONDITIONS, 4, replicates=20)
    control = ConditionMetrics(CONDITIONS, 4, replicates=20, draws=3)
    drawn = [[probabilities[0], *(one.roll(draw, 1) for one in probabilities[1:])] for draw in range(3)]
    objectives = ConditionMetrics(CONDITIONS, 4, replicates=20, objectives=["log-probability", "margin"])
    frequency, agreement = NeuronFrequency(4, 3, 9), PathAgreement(3, replicates=20)
    selectivity = Selectivity(4, replicates=20)
    for place in places.split(4) if len(places) else ():
        conditions.update([one[place] for one in probabilities], labels[place], place)
        objectives.update([one[place] for one in probabilities], labels[place], place, logits=True)
        control.update_draws(([one[place] for one in draw] for draw in drawn), labels[place], place)
        frequency.update(neurons[place], labels[place])
        agreement.update(neurons[place], neurons.flip(1)[place], place)
        selectivity.update(2, probabilities[1].argmax(1)[place], labels[place], place)
    counts = frequency.compute()
    return {
        "measures": conditions.measures.compute().replicates.values,
        "objectives": objectives.measures.compute().replicates.values,
        "control": control.measures.compute().replicates.values,
        "categories": control.by_category("accuracy").values,
        "counts": counts.counts.to_dense(),
        "images": counts.images,
        "agreement": agreement.compute().neurons.values,
        "selectivity": selectivity.compute().own.values,
    }


def run(rank: int, folder: str, shares: list[torch.Tensor]) -> None:
    # Not destroyed, for that hangs now and then under torch 2.6; it ends with the process.
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    # torchmetrics doubts that a metric without updates is meant; here it is.
    warnings.filterwarnings("ignore", message=".*was called before the ``update`` method")
    torch.save(results(shares[rank]), f"{folder}/{rank}.pt")


def assert_same(tmp_path: Path, shares: list[torch.Tensor]) -> None:
    expected = results(torch.arange(30))
    mp.start_processes(run, (str(tmp_path), shares), nprocs=2, start_method="fork")
    for rank in range(2):
        torch.testing.assert_close(
            torch.load(tmp_path / f"{rank}.pt"), expected, rtol=1e-12, atol=1e-12, equal_nan=True
        )


def test_two_processes_say_what_one_says(tmp_path: Path) -> None:
    assert_same(tmp_path, [torch.arange(7), torch.arange(7, 30)])


def test_a_process_without_images_changes_nothing(tmp_path: Path) -> None:
    assert_same(tmp_path, [torch.arange(30), torch.arange(0)])
