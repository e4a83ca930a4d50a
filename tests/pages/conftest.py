"""The app as its pages see it: with chosen checkpoints and data, and nothing kept from before."""

import os
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from core import paths
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint

APP = Path(__file__).resolve().parents[2] / "app.py"
PAGES = (
    *("compare", "layers", "predictions", "recovery", "efficiency"),
    *("choices", "baseline", "tour", "methods"),
)
OpenApp = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def main_module_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """AppTest leaves a page behind as __main__, which spawned processes would run again."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture(scope="session", autouse=True)
def packages_scanned_once() -> Iterator[None]:
    """AppTest reads the metadata of all installed packages at each start: a tenth of a second."""
    scan = manifest_scanner.scan_component_manifests
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(scan))
        yield


@pytest.fixture(autouse=True)
def nothing_cached() -> Iterator[None]:
    st.cache_data.clear()
    st.cache_resource.clear()
    yield
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of checkpoints, which the app takes for its own."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    monkeypatch.setattr(paths, "CHECKPOINTS", folder)
    return folder


@pytest.fixture
def no_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without CIFAR-10."""
    monkeypatch.delenv("CIFAR10_DIR", raising=False)
    monkeypatch.setattr(paths, "DATA", tmp_path / "data")


@pytest.fixture
def small_baselines(checkpoints: Path, trained: Checkpoint) -> dict[str, Path]:
    """The small network of the digits as a baseline of both data sets."""
    paths = {}
    for dataset in ("digits", "cifar10"):
        paths[dataset] = checkpoints / f"resnet18-{dataset}-2ep.safetensors"
        checkpoint.save(trained.network, paths[dataset], dataset, metadata_of(trained))
    return paths


def metadata_of(loaded: Checkpoint) -> dict[str, object]:
    written_by_save = {"format", "architecture", "widths", "classes", "dataset"}
    return {name: loaded.metadata[name] for name in set(loaded.metadata) - written_by_save}


class PagesOfARunningServer(PagesManager):
    """A server that has run app.py once no longer runs the files of the folder pages alone.

    AppTest makes a new manager for each run, which forgets that.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        PagesManager.uses_pages_directory = False


@pytest.fixture
def open_app(monkeypatch: pytest.MonkeyPatch) -> OpenApp:
    """Run the app on a page; fails on any exception that a person would see."""
    monkeypatch.setattr("streamlit.testing.v1.app_test.PagesManager", PagesOfARunningServer)

    def open_page(page: str = "compare", **query: str) -> AppTest:
        os.chdir(APP.parent)
        app = AppTest.from_file(str(APP), default_timeout=120)
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        if page != "compare":
            app.switch_page(f"pages/{page}.py").run()
        assert_calm(app)
        return app

    return open_page


def assert_calm(app: AppTest) -> None:
    assert [error.value for error in app.exception] == []
