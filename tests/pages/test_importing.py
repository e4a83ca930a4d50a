"""A network of other code becomes a baseline on the page Baseline, and every page works with it."""

from pathlib import Path

import pytest
import streamlit as st
import torch
from streamlit.testing.v1 import AppTest
from torch import Tensor, nn

from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint
from tests.pages.conftest import PAGES, OpenApp, assert_calm


@pytest.fixture
def file(trained: Checkpoint, tmp_path: Path) -> Path:
    tensors = {f"module.{name}": each for name, each in trained.network.tensors().items()}
    path = tmp_path / "a*b*_[x](http:x) $y$.pth"
    torch.save({"state_dict": tensors}, path)
    return path


def import_by_path(app: AppTest, path: Path) -> AppTest:
    app.text_input(key="import_path").set_value(str(path))
    return next(button for button in app.button if button.label == "Import").click().run()


def test_an_imported_network_is_used_on_every_page(
    open_app: OpenApp, checkpoints: Path, file: Path, trained: Checkpoint
) -> None:
    app = import_by_path(open_app("baseline", dataset="digits"), file)
    assert_calm(app)
    assert [warning.value for warning in app.warning] == []
    assert any("test images right" in success.value for success in app.success)
    (path,) = (checkpoints / "local").glob("*.safetensors")
    assert checkpoint.load(path).fingerprint == trained.fingerprint
    table = next(each.value for each in app.dataframe if "Normalisation" in each.value)
    assert len(table) == len(checkpoint.load(path).metadata["imported"]["normalisations"])
    next(button for button in app.button if button.label == "Use it now").click().run()
    assert app.session_state["baseline"] == path.stem
    recorded = "".join(each.value.to_string() for each in app.table)
    assert file.name in recorded
    assert "Dropped module. from the names." in recorded
    for page in PAGES:
        app.switch_page(f"pages/{page}.py").run()
        assert_calm(app)


@pytest.mark.usefixtures("checkpoints")
def test_a_refusal_is_said_as_plain_text(open_app: OpenApp, file: Path) -> None:
    file.write_bytes(b"no weights")
    app = import_by_path(open_app("baseline", dataset="digits"), file)
    assert_calm(app)
    (warning,) = app.warning
    assert r"a\*b\*\_\[x\](http" in warning.value
    assert "is neither a safetensors file" in plain_again(warning.value)


@pytest.mark.usefixtures("checkpoints")
@pytest.mark.parametrize(
    ("network", "numbers", "said"),
    [
        ("recognise it", "", "six numbers"),
        ("recognise it", "a b c d e f", "six numbers"),
        ("recognise it", "0.5 0.5 0.5 0 1 1", "above 0"),
        ("vgg16", "0.5 0.5 0.5 0.5 0.5 0.5", "Nearest is VGG-16"),
    ],
)
def test_what_cannot_be_used_is_said(
    open_app: OpenApp, file: Path, network: str, numbers: str, said: str
) -> None:
    app = open_app("baseline", dataset="digits")
    app.selectbox(key="import_network").set_value(network)
    app.selectbox(key="import_normalisation").set_value("own numbers")
    app.text_input(key="import_numbers").set_value(numbers)
    app = import_by_path(app, file)
    assert_calm(app)
    (warning,) = app.warning
    assert said in plain_again(warning.value)


@pytest.mark.usefixtures("checkpoints")
def test_nothing_chosen_is_said(open_app: OpenApp) -> None:
    app = open_app("baseline", dataset="digits")
    next(button for button in app.button if button.label == "Import").click().run()
    (warning,) = app.warning
    assert "Choose a file" in warning.value


def own_network(num_classes: int = 10) -> nn.Module:
    """What a person might have written, without batch-norm, and with an addition."""

    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(6, 6, 1)

        def forward(self, x: Tensor) -> Tensor:
            both: Tensor = torch.relu(self.first(x)) + self.second(x)
            return both

    pool = (nn.AdaptiveAvgPool2d(4), nn.Flatten())
    return nn.Sequential(nn.Conv2d(3, 6, 3), Sum(), *pool, nn.Linear(96, num_classes))


@pytest.mark.usefixtures("checkpoints")
def test_own_code_is_offered_trained_and_shown_on_every_page(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "tests.pages.test_importing:own_network"
    monkeypatch.setenv("EXPLORER_NETWORKS", name)
    app = open_app("baseline", dataset="digits")
    assert name in app.selectbox(key="train_network").options
    app.selectbox(key="train_network").set_value(name)
    app.number_input(key="epochs_digits").set_value(1)
    next(button for button in app.button if button.label == "Train").click().run()
    next(button for button in app.button if button.label == "Use it now").click().run()
    assert_calm(app)
    for page in PAGES:
        app.switch_page(f"pages/{page}.py").run()
        assert_calm(app)
        assert [warning.value for warning in app.warning] == []
    monkeypatch.delenv("EXPLORER_NETWORKS")
    st.cache_resource.clear()
    app.switch_page("pages/layers.py").run()
    assert_calm(app)
    assert "EXPLORER_NETWORKS" in plain_again(app.warning[0].value)


def plain_again(markdown: str) -> str:
    return markdown.replace("\\", "")
