"""Which baselines are there, what they are called, and which one is taken unless told."""

import shutil
from pathlib import Path

import pytest

from core.baselines.shelf import by_name, default_baseline
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint
from core.networks.metadata import BASELINE_FIELDS

SHIPPED = ["a-50ep", "resnet18-cifar10", "resnet18-cifar10-5ep"]
LOCAL = ["0-1ep", "resnet18-cifar10-5ep"]


def fill(folder: Path, trained: Checkpoint, dataset: str, files: list[str]) -> None:
    """Write one baseline under each name; names that begin with `local/` were trained here."""
    source = folder / "source"
    metadata = {name: trained.metadata[name] for name in BASELINE_FIELDS}
    checkpoint.save(trained.network, source, dataset, {"kind": "baseline"} | metadata)
    (folder / "local").mkdir(exist_ok=True)
    for name in files:
        shutil.copy(source, folder / f"{name}.safetensors")


@pytest.mark.parametrize(
    ("dataset", "files", "default"),
    [
        ("cifar10", [*SHIPPED, *(f"local/{name}" for name in LOCAL)], "resnet18-cifar10"),
        ("cifar10", ["b-50ep", "a-60ep", "local/0-1ep"], "a-60ep"),
        ("cifar10", ["local/z-2ep", "local/b-1ep"], "local/b-1ep"),
        ("cifar10", ["a-50ep", "local/resnet18-cifar10-1ep"], "a-50ep"),
        ("digits", ["resnet18-cifar10", "a-50ep", "local/0-1ep"], "a-50ep"),
        ("cifar10", [], None),
    ],
)
def test_the_default_is_named_else_the_first_that_ships_else_the_first_trained_here(
    trained: Checkpoint, tmp_path: Path, dataset: str, files: list[str], default: str | None
) -> None:
    fill(tmp_path, trained, dataset, files)
    expected = None if default is None else tmp_path / f"{default}.safetensors"
    assert default_baseline(dataset, tmp_path) == expected
    assert default_baseline("another", tmp_path) is None


def test_every_baseline_has_a_name_of_its_own(trained: Checkpoint, tmp_path: Path) -> None:
    fill(tmp_path, trained, "cifar10", [*SHIPPED, *(f"local/{name}" for name in LOCAL)])
    assert by_name("cifar10", tmp_path) == {
        **{name: tmp_path / f"{name}.safetensors" for name in SHIPPED},
        "0-1ep": tmp_path / "local" / "0-1ep.safetensors",
        "resnet18-cifar10-5ep (local)": tmp_path / "local" / "resnet18-cifar10-5ep.safetensors",
    }
