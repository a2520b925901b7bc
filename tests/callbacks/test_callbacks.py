from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset, TensorDataset

import nplight
from nplight.callbacks import NeuronPathSearch, PathEvaluation, PathProgressBar, PathSelectivity, WeightsExport
from nplight.errors import ArgumentError, NonFiniteError, RunFolderError, UnsupportedModelError
from nplight.modules import load_weights
from nplight.store import RunFolder
from tests.conftest import Reference, make_vit

OPTIONS: dict[str, Any] = {"steps": 3, "kept": (1, 4), "chunk_size": 16}


class Foreign(LightningModule):
    """A module that has never heard of nplight."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.backbone = nn.ModuleDict({"network": network})

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        pass

    def test_step(self, batch: Any, batch_idx: int) -> None:
        pass

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        images = batch if isinstance(batch, Tensor) else batch[0]
        return self.backbone["network"](images)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return nn.functional.cross_entropy(self.backbone["network"](batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1e-3)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logger = logging.getLogger("lightning.pytorch")
    before = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(before)


@pytest.fixture
def loaders(reference: Reference) -> list[DataLoader[Any]]:
    """Half of each category's images to discover, half held out, in batches that do not divide them."""
    return make_loaders(reference)


def make_loaders(reference: Reference) -> list[DataLoader[Any]]:
    data = TensorDataset(reference.images, reference.labels, torch.arange(80) + 100)
    discover = [index for index in range(80) if index % 8 < 4]
    held_out = [index for index in range(80) if index % 8 >= 4]
    return [DataLoader(Subset(data, part), batch_size=7) for part in (discover, held_out)]


def make_trainer(*callbacks: Any, **options: Any) -> Trainer:
    settings = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "devices": 1}
    return Trainer(
        callbacks=list(callbacks),
        enable_model_summary=False,
        enable_checkpointing=False,
        **{**settings, **options},
    )


class Stop(Callback):
    """Ends a run after some batches."""

    def __init__(self, batches: int) -> None:
        self.batches = batches

    def on_validation_batch_end(self, *arguments: Any, **_: Any) -> None:
        if arguments[4] + 1 == self.batches:
            raise KeyError("stopped")


def validate(
    reference: Reference,
    loaders: list[DataLoader[Any]],
    folder: Path,
    stop: Stop | None = None,
    **options: Any,
) -> tuple[NeuronPathSearch, PathEvaluation]:
    search = NeuronPathSearch(run_dir=folder, **OPTIONS)
    evaluation = PathEvaluation(run_dir=folder, fractions=(0.3, 1.0))
    callbacks = [search, evaluation, *([] if stop is None else [stop])]
    make_trainer(*callbacks, **options).validate(Foreign(reference.model), loaders, verbose=False)
    return search, evaluation


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def results(folder: Path) -> dict[str, Any]:
    """The contents, but for the order of the settings' sections, which tells only what came first."""
    found = contents(folder)
    return {**found, "settings.json": json.loads(found["settings.json"])}


@pytest.mark.parametrize("inference_mode", [True, False])
def test_validate_finds_and_tests_what_the_functions_find_and_test(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, inference_mode: bool
) -> None:
    search, evaluation = validate(reference, loaders, tmp_path, inference_mode=inference_mode)
    found, held_out = (torch.tensor(loader.dataset.indices) for loader in loaders)
    paths = nplight.search(reference.model, reference.images[found], reference.labels[found], steps=3, ranked=4)
    table = nplight.read_paths(tmp_path)
    assert table["index"].tolist() == (found + 100).tolist()
    assert table["file"] == [f"image {index}" for index in table["index"].tolist()]
    assert torch.equal(table["label"], reference.labels[found])
    assert torch.equal(table["target"], reference.labels[found])
    assert torch.equal(table["neurons"], paths.neurons)
    assert torch.equal(table["ranking"], paths.ranking)
    torch.testing.assert_close(table["score"], paths.scores)
    torch.testing.assert_close(table["probability"], reference.expected["probability"][found])

    stored, top_k = RunFolder(tmp_path).read_category_paths()
    assert top_k == 1
    for size in (1, 4):
        expected = nplight.category_paths(
            paths.ranking[..., :size],
            reference.labels[found],
            num_classes=10,
            top_k=size,
            scores=paths.ranking_scores[..., :size],
        )
        assert torch.equal(search.category_paths["jas"][size].neurons, expected.neurons)
        assert torch.equal(stored["jas"][size].neurons, expected.neurons)

    labels = reference.labels[held_out]
    reference.model.eval()
    for result in evaluation.results:
        operation = {"removed": "remove", "enhanced": "enhance", "kept": "keep"}.get(result.condition)
        if operation is None or result.pruned == 0.3:
            continue
        with torch.no_grad():
            clean = reference.model(reference.images[held_out]).softmax(1)
            with nplight.intervene(reference.model, stored["jas"][result.kept].of(labels), operation):
                edited = reference.model(reference.images[held_out]).softmax(1)
        before, after = (values.gather(1, labels[:, None])[:, 0] for values in (clean, edited))
        assert result.images == 40
        assert result.value("accuracy") == pytest.approx((edited.argmax(1) == labels).double().mean().item(), abs=1e-6)
        assert result.value("probability") == pytest.approx(after.mean().item(), abs=1e-6)
        assert result.value("probability_deviation") == pytest.approx(
            ((after - before) / before).mean().item(), abs=1e-5
        )
    assert [result.condition for result in evaluation.results] == ["clean", "removed", "enhanced"] + ["kept"] * 4
    rows = json.loads((tmp_path / "metrics.json").read_text())["conditions"]
    assert rows == [result.to_dict() for result in evaluation.results]


def test_two_processes_give_what_one_gives(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    validate(reference, loaders, tmp_path / "one")
    validate(
        reference,
        [_shared(loader) for loader in loaders],
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


class _OwnShare(torch.utils.data.Sampler[int]):
    """Each process its share of unequal length, none padded."""

    def __init__(self, length: int) -> None:
        self._length = length

    def _share(self) -> range:
        rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        return range(0, 23) if rank == 0 else range(23, self._length)

    def __iter__(self) -> Iterator[int]:
        return iter(self._share())

    def __len__(self) -> int:
        return len(self._share())


def _shared(loader: DataLoader[Any]) -> DataLoader[Any]:
    return DataLoader(loader.dataset, batch_size=7, sampler=_OwnShare(len(loader.dataset)))


def test_the_same_again_searches_nothing_and_changes_nothing(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    validate(reference, loaders, tmp_path / "run")
    before = contents(tmp_path / "run")
    monkeypatch.setattr("nplight.runs.image_rows.search", lambda *_, **__: pytest.fail("searched again"))
    validate(reference, loaders, tmp_path / "run")
    assert contents(tmp_path / "run") == before


def test_a_run_that_was_stopped_goes_on_to_the_same_files(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    validate(reference, loaders, tmp_path / "quiet")
    with pytest.raises(KeyError, match="stopped"):
        validate(reference, loaders, tmp_path / "stopped", stop=Stop(2))
    assert len(nplight.read_paths(tmp_path / "stopped")) == 14
    validate(reference, loaders, tmp_path / "stopped")
    assert contents(tmp_path / "stopped") == contents(tmp_path / "quiet")


def test_other_settings_are_refused_before_work_and_nothing_is_lost(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    validate(reference, loaders, tmp_path)
    before = contents(tmp_path)
    search = NeuronPathSearch(run_dir=tmp_path, **{**OPTIONS, "steps": 4})
    with pytest.raises(RunFolderError, match=r"other settings \(steps: 3 there, 4 now\)"):
        make_trainer(search).validate(Foreign(reference.model), loaders, verbose=False)
    with torch.no_grad():
        reference.model.head.bias[0] += 1
    with pytest.raises(RunFolderError, match=r"other settings \(model: "):
        validate(reference, loaders, tmp_path)
    assert contents(tmp_path) == before


def test_stored_paths_are_tested_without_a_search(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    _, evaluation = validate(reference, loaders, tmp_path / "run")
    again = PathEvaluation(paths=tmp_path / "run", fractions=(0.3, 1.0), run_dir=tmp_path / "test")
    make_trainer(again).test(Foreign(reference.model), loaders[1], verbose=False)
    assert again.results == evaluation.results
    assert not (tmp_path / "test" / "paths").exists()


def test_predict_finds_paths_of_images_without_labels(reference: Reference, tmp_path: Path) -> None:
    images = reference.images[::9]
    search = NeuronPathSearch(run_dir=tmp_path, **OPTIONS)
    make_trainer(search).predict(Foreign(reference.model), DataLoader(images, batch_size=4))
    expected = nplight.search(reference.model, images, steps=3, ranked=4)
    table = nplight.read_paths(tmp_path)
    assert table["index"].tolist() == list(range(9))
    assert table["label"].tolist() == [-1] * 9
    assert torch.equal(table["target"], expected.predictions)
    assert torch.equal(table["neurons"], expected.neurons)


def test_training_is_left_alone(reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path) -> None:
    search, evaluation = NeuronPathSearch(run_dir=tmp_path / "run"), PathEvaluation(run_dir=tmp_path / "run")
    trainer = make_trainer(search, evaluation, WeightsExport(run_dir=tmp_path / "weights"), max_steps=2)
    trainer.fit(Foreign(reference.model), loaders[0], loaders)
    assert not (tmp_path / "run").exists()
    fresh = make_vit(embed_dim=48, depth=4, num_heads=4, patch_size=2, num_classes=10)
    load_weights(fresh, tmp_path / "weights" / "model.safetensors")
    assert torch.equal(fresh.head.weight, reference.model.head.weight)


def test_results_go_to_the_loggers_folder_unless_told(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    logger = CSVLogger(tmp_path, name="mine", version="7")
    trainer = make_trainer(NeuronPathSearch(**OPTIONS), PathEvaluation(fractions=(1.0,)), logger=logger)
    trainer.validate(Foreign(reference.model), loaders, verbose=False)
    assert (tmp_path / "mine" / "7" / "neuron_paths" / "metrics.json").exists()
    logger.save()
    assert "paths/kept/4_pruned_100%/accuracy" in (tmp_path / "mine" / "7" / "metrics.csv").read_text()


def test_half_precision_runs_and_scores_in_float32(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    reference.model.float()
    for loader in loaders:
        loader.dataset.dataset = TensorDataset(reference.images.float(), reference.labels, torch.arange(80))
    _, evaluation = validate(reference, loaders, tmp_path, precision="bf16-mixed")
    assert nplight.read_paths(tmp_path)["score"].dtype == torch.float32
    clean = (reference.expected["logits"].argmax(1) == reference.labels)[loaders[1].dataset.indices]
    assert evaluation.results[0].value("accuracy") == pytest.approx(clean.float().mean().item(), abs=0.051)


def test_more_neurons_than_a_layer_has_are_capped_and_said_so(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = NeuronPathSearch(run_dir=tmp_path, **{**OPTIONS, "steps": 1, "kept": (1, 500)})
    evaluation = PathEvaluation(run_dir=tmp_path, fractions=(1.0,))
    make_trainer(search, evaluation).validate(Foreign(reference.model), loaders, verbose=False)
    assert [result.kept for result in evaluation.results] == [None, 1, 1, 1, 192]
    # All neurons kept is the clean model.
    assert evaluation.results[-1].value("probability") == evaluation.results[0].value("probability")
    note = "500 neurons a layer were asked for; the narrowest layer has 192"
    assert note in json.loads((tmp_path / "metrics.json").read_text())["notes"][0]
    assert note in " ".join(capsys.readouterr().out.split())


def test_broken_images_are_named_by_their_file(reference: Reference, tmp_path: Path) -> None:
    images = reference.images[:4].clone()
    images[2, 0, 0, 0] = torch.nan
    samples = [{"image": image, "label": 0, "index": 40 + number, "file": f"photo {number}.jpg"}
               for number, image in enumerate(images)]  # fmt: skip
    search = NeuronPathSearch(run_dir=tmp_path, **OPTIONS)
    with pytest.raises(NonFiniteError, match=r"NaN or infinite pixels \(photo 2\.jpg\)"):
        make_trainer(search).validate(Foreign(reference.model), DataLoader(samples, batch_size=4), verbose=False)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"method": "guess"}, "`method` must be one of"),
        ({"target": "truth"}, "`target` must be one of 'label', 'prediction'"),
        ({"category_method": "vote"}, "`category_method` must be one of"),
        ({"steps": 0}, "`steps` must be"),
        ({"rule": "simpson"}, "`rule` must be"),
        ({"top_k": 0}, "`top_k` must be"),
        ({"kept": (0,)}, "`kept` must be"),
        ({"chunk_size": -1}, "`chunk_size` must be"),
    ],
)
def test_bad_arguments_are_refused_when_the_callback_is_made(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason):
        NeuronPathSearch(**arguments)


def test_bad_fractions_are_refused_when_the_callback_is_made() -> None:
    with pytest.raises(ArgumentError, match="`fractions` must be"):
        PathEvaluation(fractions=(30,))


def test_what_is_missing_is_refused_before_work(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    module = Foreign(reference.model)
    search = NeuronPathSearch(run_dir=tmp_path, **OPTIONS)
    cases = [
        (make_trainer(PathEvaluation(run_dir=tmp_path)), module, loaders, "PathEvaluation needs category paths"),
        (make_trainer(search, PathEvaluation(run_dir=tmp_path)), module, loaders[0], "needs two validation loaders"),
        (make_trainer(NeuronPathSearch(run_dir=tmp_path, top_k=193)), module, loaders, "`top_k` must be at most 192"),
        (make_trainer(search), module, DataLoader(reference.images, batch_size=8), "the batch must have labels"),
    ]
    for trainer, model, data, reason in cases:
        with pytest.raises(ArgumentError, match=reason):
            trainer.validate(model, data, verbose=False)
    with pytest.raises(UnsupportedModelError, match="Foreign, which cannot be opened"):
        make_trainer(search).validate(Foreign(nn.Linear(2, 2)), loaders, verbose=False)
    assert not (tmp_path / "paths").exists()


@pytest.mark.parametrize("callback", [NeuronPathSearch, PathEvaluation, PathSelectivity])
def test_a_third_validation_loader_is_refused(
    callback: Callable[..., Callback], reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    search = [] if callback is NeuronPathSearch else [NeuronPathSearch(run_dir=tmp_path, **OPTIONS)]
    trainer = make_trainer(callback(run_dir=tmp_path), *search)
    reason = rf"{callback.__name__} takes two validation loaders, .*, got 3; pass dataloaders=\[discover, held_out\]"
    with pytest.raises(ArgumentError, match=reason):
        trainer.validate(Foreign(reference.model), [*loaders, loaders[1]], verbose=False)
    assert not (tmp_path / "paths").exists()


def test_the_progress_bar_counts_images_of_all_processes(reference: Reference, loaders: list[DataLoader[Any]]) -> None:
    bar = PathProgressBar()
    seen = []

    class Look(Callback):
        def on_validation_batch_end(self, trainer: Any, *_: Any, dataloader_idx: int = 0, **__: Any) -> None:
            speed = bar.configure_columns(trainer)[-1].render(bar.val_progress_bar)
            seen.append((bar.validation_description, bar.images_a_batch(), str(speed)))

    trainer = make_trainer(bar, Look(), enable_progress_bar=True)
    trainer.validate(Foreign(reference.model), loaders, verbose=False)
    assert [(name, size) for name, size, _ in seen] == [("Searching paths", 7)] * 6 + [("Testing paths", 7)] * 6
    assert all(text.endswith(" images/s") for _, _, text in seen)


def test_predict_attributes_predictions_also_where_there_are_labels(reference: Reference, tmp_path: Path) -> None:
    images, wrong = reference.images[::9], (reference.labels[::9] + 1) % 10
    data = DataLoader(TensorDataset(images, wrong), batch_size=4)
    make_trainer(NeuronPathSearch(run_dir=tmp_path, **OPTIONS)).predict(Foreign(reference.model), data)
    table = nplight.read_paths(tmp_path)
    assert torch.equal(table["target"], reference.expected["logits"][::9].argmax(1))
    assert torch.equal(table["label"], wrong)


def test_weights_of_a_ckpt_path_are_part_of_the_settings(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    module = Foreign(reference.model)
    trainer = make_trainer(max_steps=1)
    trainer.strategy.connect(module)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    with torch.no_grad():
        reference.model.head.bias[0] += 1
    trainer.save_checkpoint(tmp_path / "other.ckpt")

    def run(name: str) -> None:
        search = NeuronPathSearch(run_dir=tmp_path / "run", **OPTIONS)
        make_trainer(search).validate(module, loaders[0], ckpt_path=tmp_path / name, verbose=False)

    run("one.ckpt")
    before = contents(tmp_path / "run")
    with pytest.raises(RunFolderError, match=r"other settings \(model: "):
        run("other.ckpt")
    assert contents(tmp_path / "run") == before


def test_images_that_come_twice_are_refused(reference: Reference, tmp_path: Path) -> None:
    images, labels = reference.images[:8], reference.labels[:8]

    def run(index: list[int], batch_size: int) -> None:
        data = DataLoader(TensorDataset(images, labels, torch.tensor(index)), batch_size=batch_size)
        search = NeuronPathSearch(run_dir=tmp_path / f"{batch_size}", **OPTIONS)
        make_trainer(search).predict(Foreign(reference.model), data)

    with pytest.raises(ArgumentError, match="`index` must number each image of a batch differently"):
        run([0, 1, 2, 3, 3, 4, 5, 6], 8)
    with pytest.raises(RunFolderError, match="is there already: image 0 came twice"):
        run([0, 1, 2, 3, 0, 1, 2, 3], 4)
    assert len(nplight.read_paths(tmp_path / "4")) == 4


def test_other_images_under_the_same_numbers_are_refused(reference: Reference, tmp_path: Path) -> None:
    def run(images: Tensor) -> None:
        search = NeuronPathSearch(run_dir=tmp_path, **OPTIONS)
        make_trainer(search).predict(Foreign(reference.model), DataLoader(images, batch_size=4))

    run(reference.images[:8])
    before = contents(tmp_path)
    run(reference.images[:8])
    with pytest.raises(RunFolderError, match="already holds paths of other images under the numbers 0, 1, 2, 3"):
        run(reference.images[8:16])
    assert contents(tmp_path) == before


def test_a_discover_loader_without_a_length_is_refused(reference: Reference, tmp_path: Path) -> None:
    class Endless(torch.utils.data.IterableDataset[Any]):
        def __iter__(self) -> Iterator[Any]:
            yield from zip(reference.images, reference.labels)

    data = DataLoader(Endless(), batch_size=4)
    with pytest.raises(ArgumentError, match="the first validation loader must have a length"):
        make_trainer(NeuronPathSearch(run_dir=tmp_path)).validate(Foreign(reference.model), data, verbose=False)
