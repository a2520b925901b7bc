from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning
from torch import nn
from torch.utils.data import DataLoader

from nplight.callbacks import NeuronPathSearch, for_pytorch_lightning
from tests.callbacks.foreign_project import Foreign, all_callbacks, contents
from tests.conftest import Reference


class Twin(pytorch_lightning.LightningModule):  # type: ignore[misc]
    """A module of the other package."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    validation_step = Foreign.validation_step
    training_step = None

    def configure_optimizers(self) -> None: ...


def test_a_project_of_the_twin_package(
    reference: Reference, loaders: list[DataLoader[Any]], plain_run: Path, tmp_path: Path
) -> None:
    trainer = pytorch_lightning.Trainer(
        callbacks=for_pytorch_lightning(*all_callbacks(tmp_path / "other")), accelerator="cpu", devices=1, logger=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    trainer.validate(Twin(reference.model), loaders, verbose=False)
    assert contents(tmp_path / "other") == contents(plain_run)


def test_a_twin_is_of_both_packages_and_shares_its_state() -> None:
    search = NeuronPathSearch(top_k=2)
    (twin,) = for_pytorch_lightning(search)
    assert isinstance(twin, NeuronPathSearch)
    assert isinstance(twin, pytorch_lightning.Callback)
    assert (type(twin).__qualname__, type(twin).__doc__) == ("NeuronPathSearch", NeuronPathSearch.__doc__)
    twin.run_dir = "run"
    assert (search.run_dir, twin.settings) == ("run", search.settings)
    assert twin.state_key == search.state_key
