"""Processes that a cluster starts: torchrun, and SLURM, whose signal puts a job back in the queue.

They are forks of the test's own process, which spares them the imports.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback
from lightning.pytorch.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from nplight.callbacks import NeuronPathSearch, PathEvaluation
from tests.callbacks.digits_project import FewDigits, assert_same, model
from tests.callbacks.foreign_project import make_trainer
from tests.faults.forked_runs import ended, parts

PROCESSES = 2


def free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def slurm(rank: int, port: str) -> dict[str, str]:
    return {
        "SLURM_JOB_ID": "123456", "SLURM_JOB_NAME": "nplight", "SLURM_NTASKS": f"{PROCESSES}",
        "SLURM_NTASKS_PER_NODE": f"{PROCESSES}", "SLURM_NNODES": "1", "SLURM_PROCID": f"{rank}",
        "SLURM_LOCALID": f"{rank}", "SLURM_NODEID": "0", "SLURM_NODELIST": "localhost", "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }  # fmt: skip


class OutOfTime(Callback):
    """Does something once that many parts are there."""

    def __init__(self, run: Path, parts: int, leave: Callable[[], None]) -> None:
        self.run, self.parts, self.leave = run, parts, leave

    def on_validation_batch_end(self, *_: Any, **__: Any) -> None:
        if len(parts(self.run)) >= self.parts:
            self.leave()


def validate(run: Path, environment: type | None, *more: Callback) -> None:
    search = NeuronPathSearch(run_dir=run, steps=2, kept=(1, 4))
    evaluation = PathEvaluation(run_dir=run, fractions=(1.0,), replicates=20, draws=2)
    options = {} if environment is None else {"devices": PROCESSES, "strategy": "ddp"}
    trainer = make_trainer(search, evaluation, *more, **options, default_root_dir=run.parent)
    if environment is not None:
        assert isinstance(trainer._accelerator_connector.cluster_environment, environment)
    trainer.validate(model(10), FewDigits(batch_size=4), verbose=False)


@pytest.fixture(scope="module")
def quiet_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of one process, to be read."""
    folder = tmp_path_factory.mktemp("quiet")
    validate(folder, None)
    return folder


@pytest.fixture
def signal_handlers() -> Iterator[None]:
    """Put back what the launcher behind torchrun leaves in its process."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def forked(work: Callable[[], None], variables: dict[str, str], says: Path) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        file = os.open(says, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.environ.update(variables)
        work()
        code = 0
    finally:
        os._exit(code)


@pytest.mark.filterwarnings("ignore:.*use of fork\\(\\):DeprecationWarning", "ignore:The `srun` command")
def test_processes_that_slurm_started_share_the_work(tmp_path: Path, quiet_run: Path) -> None:
    port = free_port()
    children = [
        forked(lambda: validate(tmp_path / "two", SLURMEnvironment), slurm(rank, port), tmp_path / f"{rank}.txt")
        for rank in range(PROCESSES)
    ]
    codes = [ended(child, 60) for child in children]
    assert codes == [0, 0], "".join((tmp_path / f"{rank}.txt").read_text() for rank in range(PROCESSES))
    assert_same(quiet_run, tmp_path / "two")


@pytest.mark.filterwarnings("ignore:.*use of fork\\(\\):DeprecationWarning")
@pytest.mark.usefixtures("signal_handlers")
def test_processes_that_torchrun_starts_share_the_work(tmp_path: Path, quiet_run: Path) -> None:
    """By the launcher behind `torchrun --nproc_per_node 2`, which forks here."""
    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=PROCESSES, run_id="nplight", rdzv_backend="c10d",
        rdzv_endpoint="localhost:0", max_restarts=0, start_method="fork",
        logs_specs=DefaultLogsSpecs(str(tmp_path / "logs"), redirects=Std.ALL),
    )  # fmt: skip
    elastic_launch(config, validate)(tmp_path / "two", TorchElasticEnvironment)
    assert_same(quiet_run, tmp_path / "two")


@pytest.mark.filterwarnings("ignore:.*use of fork\\(\\):DeprecationWarning", "ignore:The `srun` command")
def test_a_job_that_slurm_puts_back_in_the_queue_goes_on(tmp_path: Path, quiet_run: Path) -> None:
    """Lightning answers SLURM's signal with `scontrol requeue`; here a script that notes what it was asked for."""
    (tmp_path / "bin").mkdir()
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.write_text(f"#!/bin/sh\necho $@ >> {tmp_path}/asked\n")
    scontrol.chmod(0o755)
    run = tmp_path / "run"

    def leave() -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGKILL)

    def work() -> None:
        validate(run, None, OutOfTime(run, 5, leave))

    variables = {**slurm(0, free_port()), "SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "1"}
    variables["PATH"] = f"{scontrol.parent}:{os.environ['PATH']}"
    assert ended(forked(work, variables, tmp_path / "says.txt"), 60) == -signal.SIGKILL
    assert (tmp_path / "asked").read_text() == "requeue 123456\n"
    assert len(parts(run)) == 5
    validate(run, None)
    assert_same(quiet_run, run)
