"""What many tests share: the data sets, one small trained network, processes to kill."""

import multiprocessing
import os
import resource
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from xdist.remote import Producer
from xdist.scheduler.loadscope import LoadScopeScheduling

from core.baselines.obtain import obtain
from core.baselines.request import Request
from core.data.cifar import CIFAR10
from core.data.dataset import DataSet
from core.data.loading import find_cifar, load
from core.networks.checkpoint import Checkpoint
from core.results import Result, ResultStore
from core.specs.point import Point
from core.sweeps.measurer import Measurer
from core.sweeps.sweep import sweep
from core.training import default_recipe
from tests.environment import needed_in_ci
from tests.examples import load_profile

load_profile()
os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start
torch.set_num_threads(1)  # the workers of pytest-xdist share the cores

SPAWN = multiprocessing.get_context("spawn")
MeasureInto = Callable[[ResultStore, Measurer, Sequence[Point]], list[Result]]


class BrowserTestsTogether(LoadScopeScheduling):  # type: ignore[misc]
    """Give a worker the next test, but all browser tests to one: they share a browser and a server.

    The mark xdist_group would do, but pytest-xdist 3.8 adds the group to `Item._nodeid`, which
    pytest 9.2 ignores.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "browser" if nodeid.startswith("tests/browser/") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> BrowserTestsTogether:
    return BrowserTestsTogether(config, log)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder of this run that all its workers see."""
    of_this_worker = tmp_path_factory.getbasetemp()
    return of_this_worker if worker_id == "master" else of_this_worker.parent


@pytest.fixture(scope="session")
def digits() -> DataSet:
    return load("digits")


@pytest.fixture(scope="session")
def cifar10() -> DataSet:
    if find_cifar(CIFAR10) is None:
        needed_in_ci("CIFAR-10 is not on this machine: set CIFAR10_DIR to run this test.")
    return load("cifar10")


@pytest.fixture(scope="session")
def small_request(digits: DataSet) -> Request:
    return Request(digits, default_recipe("digits", epochs=2), width=8)


@pytest.fixture(scope="session")
def trained(small_request: Request, shared_folder: Path) -> Checkpoint:
    """A ResNet-18 of width 8, trained on the digits until it is right about most of them.

    One worker trains it; the others wait and load it.
    """
    *_, found = obtain(small_request, folder=shared_folder / "trained")
    assert isinstance(found, Checkpoint)
    return found


@pytest.fixture(scope="session")
def measure_into(shared_folder: Path) -> MeasureInto:
    """Put the results of some points into a store; each point is measured once in a test run.

    For tests that start from results. Nothing is taken from them: the key of a result knows no
    path, so those of one test are those of any other with the same network.
    """
    folder = shared_folder / "measured"

    def measure(store: ResultStore, measurer: Measurer, points: Sequence[Point]) -> list[Result]:
        name = type(measurer).__name__  # a scan's results have the same keys, and lack a field
        known = ResultStore(folder / f"{name}.sqlite")
        with FileLock(folder / "measuring.lock"):
            for _ in sweep(measurer, points, known):
                pass
        found = {key: known.get(key) for key in map(measurer.key, points)}
        results = [result for result in found.values() if result is not None]
        assert len(results) == len(found)
        store.put(results, measurer.test_labels)
        return results

    return measure


@contextmanager
def full_disk() -> Iterator[None]:
    """This process can write no byte into a file, as where the disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Child:
    """A process that works in a folder, tells of each event and waits for leave to go on."""

    def __init__(self, work: Callable[[Path], Iterable[Any]], folder: Path):
        self.connection, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=_report, args=(work, folder, theirs), daemon=True)
        self.process.start()
        theirs.close()  # so that its end is noticed here

    def go_on(self) -> None:
        self.connection.send(None)

    def events(self) -> Iterator[Any]:
        """Every event to come; between two of them the process stands still."""
        self.go_on()
        try:
            while True:
                yield self.connection.recv()
                self.go_on()
        except (EOFError, ConnectionError):
            self.process.join()
            assert self.process.exitcode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


def _report(
    work: Callable[[Path], Iterable[Any]], folder: Path, connection: "Connection[Any, Any]"
) -> None:
    connection.recv()
    for event in work(folder):
        connection.send(event)
        connection.recv()


@pytest.fixture
def start() -> Iterator[Callable[[Callable[[Path], Iterable[Any]], Path], Child]]:
    """Starts children; none outlives its test."""
    children: list[Child] = []

    def start_one(work: Callable[[Path], Iterable[Any]], folder: Path) -> Child:
        children.append(Child(work, folder))
        return children[-1]

    yield start_one
    for child in children:
        child.kill()
