from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import nplight
from nplight.data import ImageBatch
from nplight.errors import ArgumentError, NonFiniteError, RunFolderError
from nplight.metrics import Condition
from nplight.paths import CategoryPaths
from nplight.runs import EvaluationRun, EvaluationSettings, StoredPaths
from nplight.store import RunFolder
from tests.conftest import make_vit
from tests.runs.conftest import Halves


@pytest.fixture
def stored(halves: Halves, tmp_path: Path) -> StoredPaths:
    """Neurons of every layer, drawn, as the category paths of a finished run."""
    draw = torch.Generator().manual_seed(1)
    neurons = torch.stack([torch.randperm(min(halves.vit.widths), generator=draw)[:8] for _ in range(40)])
    neurons = neurons.view(10, 4, 8)
    paths = {
        size: CategoryPaths(neurons[..., :size], torch.ones(10, 4, size), torch.ones(10).long(), "frequency")
        for size in (1, 8)
    }
    folder = RunFolder(tmp_path / "found")
    folder.claim("search", {"model": "of another training"})
    folder.write_category_paths({"jas": paths}, 1)
    folder.release()
    return StoredPaths(tmp_path / "found")


@pytest.mark.filterwarnings("ignore:the paths of:UserWarning")
def test_conditions_are_those_of_plain_forward_passes(halves: Halves, stored: StoredPaths, tmp_path: Path) -> None:
    settings = EvaluationSettings((1.0,), replicates=0, draws=2)
    with EvaluationRun(halves.vit, RunFolder(tmp_path / "run"), stored, settings) as run:
        for batch in halves.batches(1):
            run.update(batch)
        findings = run.conclude()
    images, labels = halves.reference.images[1::2], halves.reference.labels[1::2]
    model = halves.reference.model.eval()
    for name, operation, size in [("removed", "remove", 1), ("enhanced", "enhance", 1), ("kept", "keep", 8)]:
        neurons = stored.category_paths["jas"][size].of(labels)
        with torch.no_grad(), nplight.intervene(model, neurons, operation):
            expected = model(images).softmax(1).gather(1, labels[:, None]).mean().item()
        wanted = Condition(name, size, 1.0 if name == "kept" else None)  # type: ignore[arg-type]
        (result,) = (result for result in findings.results if (result.method, result.key) == ("jas", wanted))
        assert result.value("probability") == pytest.approx(expected, abs=1e-6)
    content = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert content["notes"] == stored.notes
    assert "were found with other weights" in content["notes"][0]


@pytest.mark.filterwarnings("ignore:the paths of:UserWarning")
def test_what_cannot_be_evaluated_is_refused(halves: Halves, stored: StoredPaths, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(ArgumentError, match="must have a `discover_pass`, which `fill` 'mean' needs; got none"):
        EvaluationRun(halves.vit, folder, stored, EvaluationSettings(fill="mean"))
    with pytest.raises(ArgumentError, match="with layers = 3"):
        EvaluationRun(nplight.open_vit(make_vit(num_classes=3)), folder, stored)
    with EvaluationRun(halves.vit, folder, stored, EvaluationSettings((1.0,), replicates=0, draws=2)) as run:
        with pytest.raises(ArgumentError, match="must be given images to test paths with"):
            run.conclude()
        images, labels = halves.reference.images[:2], halves.reference.labels[:2]
        with pytest.raises(ArgumentError, match="must have labels"):
            run.update(ImageBatch(images))
        with pytest.raises(NonFiniteError, match="the clean pass gave NaN"):
            run.update(ImageBatch(images * torch.nan, labels))
        run.update(ImageBatch(images, labels, torch.tensor([4, 4])))
        with pytest.raises(ArgumentError, match=r"came more than once.*`index` 4"):
            run.conclude()
    assert not (tmp_path / "run" / "metrics.json").exists()


@pytest.mark.filterwarnings("ignore:the paths of:UserWarning")
def test_results_of_other_images_are_not_replaced(halves: Halves, stored: StoredPaths, tmp_path: Path) -> None:
    for part in (1, 0):
        with EvaluationRun(
            halves.vit, RunFolder(tmp_path), stored, EvaluationSettings((1.0,), replicates=0, draws=2)
        ) as run:
            for batch in halves.batches(part):
                run.update(batch)
            if part:
                run.conclude()
            else:
                with pytest.raises(RunFolderError, match="held_out_images"):
                    run.conclude()
