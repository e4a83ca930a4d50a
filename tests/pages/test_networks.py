"""Every page with networks of other shapes: deep, without additions, with depthwise layers."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint
from core.networks.fresh import Plan
from core.networks.network import Network
from core.networks.signature import Signature
from core.pruning import prune
from core.specs.architecture import Architecture
from core.specs.pruning import PruningSpec
from tests.pages.conftest import PAGES, OpenApp, assert_calm, metadata_of
from tests.pages.test_pages import charts, frames_of, metrics, words
from tests.small_networks import randomise

WIDTHS = {"vgg16": 4, "resnet50": 4, "resnet56": 4, "mobilenet_v2": 8}
WITHOUT_BATCH_NORM = "torchvision:squeezenet1_1"
NETWORKS = (*WIDTHS, WITHOUT_BATCH_NORM)
USUAL = {"dataset": "digits", "subset": "50"}
NAME = "another-digits-1ep"


@lru_cache
def built(name: str, signature: Signature) -> Network:
    plan = Plan(replace(signature, architecture=Architecture(name)), WIDTHS.get(name))
    network = plan.build(0)
    randomise(network.module, 0)  # batch-norms that differ, so that their criterion can choose
    return network


@pytest.fixture
def network(request: pytest.FixtureRequest, checkpoints: Path, trained: Checkpoint) -> Network:
    """The only baseline of the digits is a network of this name, with random weights."""
    network = built(request.param, trained.signature)
    path = checkpoints / f"{NAME}.safetensors"
    checkpoint.save(network, path, "digits", metadata_of(trained))
    return checkpoint.load(path).network


with_each_network = pytest.mark.parametrize("network", NETWORKS, indirect=True)


def marks(app: AppTest) -> list[int]:
    return [sum(map(len, frames.values())) for frames in frames_of(app)]


@with_each_network
@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens(open_app: OpenApp, page: str, network: Network) -> None:
    app = open_app(page, **USUAL)
    assert not app.warning
    assert max(marks(app), default=0) < 2000
    if page == "compare":
        left = sum(prune(network, PruningSpec("channel", 0.3)).network.nonzero.values())
        everything = sum(network.nonzero.values())
        shown = [metric.delta for metric in app.metric if metric.label == "Parameters"]
        assert shown[1] == f"{left / everything:.1%} left"
        assert "no better than guessing" in words(app) or "guessing" in words(app)


@with_each_network
def test_the_overview_shows_what_each_layer_loses(open_app: OpenApp, network: Network) -> None:
    layers = list(network.layers)
    app = open_app("layers", **USUAL)
    assert app.selectbox(key="layer").options == layers
    (overview, *_) = frames_of(app)
    rows = overview["cells"].drop_duplicates("layer")
    assert len(rows) == len(layers) if len(layers) <= 48 else len(rows) < 30
    assert rows["weights"].sum() == sum(each.weight.numel() for each in network.layers.values())
    at = overview["cells"][(overview["cells"]["method"] == "Channels")]
    at = at[at["ratio"] == 0.5]
    pruned = prune(network, PruningSpec("channel", 0.5)).network
    assert at["weights_left"].sum() == sum(
        int(each.weight.count_nonzero()) for each in pruned.layers.values()
    )
    if len(layers) > 48:
        for section in app.selectbox(key="unfold").options:
            app.selectbox(key="unfold").set_value(section).run()
            assert_calm(app)
            (overview, *_) = frames_of(app)
            assert sum(map(len, overview.values())) < 2000
            assert overview["weights"]["weights"].sum() == rows["weights"].sum()
            drawn = set(overview["weights"]["row"])
            (domain,) = {
                tuple(layer["encoding"]["y"]["scale"]["domain"])
                for layer in charts(app)[0]["layer"]
                if "scale" in layer["encoding"].get("y", {})
            }
            assert drawn == {label for label in domain if label.strip()}


CLOSE_UPS = [
    ("vgg16", "features.14", "on their own"),
    ("vgg16", "classifier", "the network's output"),
    ("resnet50", "layer2.1.conv1", "on their own"),  # 1x1
    ("resnet50", "layer2.0.conv3", "layer2.0.downsample.0, layer2.1.conv3"),
    ("resnet56", "conv1", "and 21 more layers"),
    ("resnet56", "layer2.0.conv2", "They belong to 3 groups"),
    ("mobilenet_v2", "features.2.conv.1.0", "passes each channel on by itself"),
    ("mobilenet_v2", "features.2.conv.0.0", "a depthwise layer loses the same channels"),
    ("mobilenet_v2", "classifier.1", "the network's output"),
    (WITHOUT_BATCH_NORM, "features.3.expand1x1", "on their own"),
]


@pytest.mark.parametrize(("network", "layer", "words_said"), CLOSE_UPS, indirect=["network"])
@pytest.mark.parametrize("channels", ["removed", "masked"])
def test_a_layer_of_any_kind_has_a_close_up(
    open_app: OpenApp, network: Network, layer: str, words_said: str, channels: str
) -> None:
    settings = {"layer": layer, "view": "Close-up", "ratio": "0.5", "channels": channels}
    app = open_app("layers", **USUAL, **settings)
    assert not app.warning
    assert max(marks(app)) < 2000
    assert f"**{layer}**, before and after" in words(app)
    if channels == "removed":
        assert words_said in words(app)
    method = "channel" if channels == "removed" else "channel-mask"
    pruned = prune(network, PruningSpec(method, 0.5)).network
    left = int(pruned.layers[layer].weight.count_nonzero())
    bins = [frames["bins"] for frames in frames_of(app) if "bins" in frames]
    assert bins[1]["kept"].sum() == left
    orders = [frames["channels"] for frames in frames_of(app) if "channels" in frames]
    weight = pruned.layers[layer].weight
    if orders:
        (order,) = orders
        assert sorted(order["channel"]) == list(range(len(network.layers[layer].weight)))
        assert order["stays"].sum() == int(weight.flatten(1).any(1).sum())
    else:
        assert layer.startswith("classifier")


@with_each_network
@pytest.mark.parametrize("view", ["Sensitivity", "By hand", "Budget"])
def test_every_view_opens(open_app: OpenApp, network: Network, view: str) -> None:
    assert network
    app = open_app("layers", **USUAL, view=view, scope="internal")
    assert not app.warning
    if view == "By hand":
        assert len(metrics(app)["Accuracy"]) == 2


@pytest.mark.parametrize("network", ["vgg16", "resnet56"], indirect=True)
def test_a_scan_and_a_budget_of_another_network(
    open_app: OpenApp, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.studies.sensitivity import scan_points

    for module in ("sensitivity", "budget_solving"):
        monkeypatch.setattr(f"core.ui.layers.{module}.SCAN_RATIOS", (0.5,))
    for module in ("sensitivity", "budget", "budget_solving"):
        monkeypatch.setattr(f"core.ui.layers.{module}.SCAN_IMAGES", 20)
    monkeypatch.setattr(
        "core.ui.layers.sensitivity.scan_points",
        lambda model, method, criterion, seed: scan_points(
            model, method, (0.5,), criterion=criterion, seed=seed
        ),
    )
    app = open_app("layers", **USUAL, view="Sensitivity")
    app.button(key="scan_layers").click().run()
    assert_calm(app)
    cells = [frames["cells"] for frames in frames_of(app) if "unit" in frames.get("cells", ())]
    assert [len(frame) for frame in cells] == [len(network.layers), len(network.groups)]
    app = open_app("layers", **USUAL, view="Budget")
    app.button_group(key="budget_method").set_value("Channels")
    app.number_input(key="budget_limit").set_value(60.0)
    next(button for button in app.button if button.label == "Solve").click().run()
    assert_calm(app)
    (found,) = [frames["contenders"] for frames in frames_of(app) if "contenders" in frames]
    assert (found["left"] <= 0.6).all()
    assert found.set_index("name")["left"]["by sensitivity"] > 0.55


@pytest.mark.parametrize("network", [WITHOUT_BATCH_NORM], indirect=True)
@pytest.mark.parametrize("page", ["compare", "layers"])
def test_a_criterion_that_can_score_nothing_is_said(
    open_app: OpenApp, network: Network, page: str
) -> None:
    assert not network.structure.batch_norm_of
    app = open_app(page, **USUAL, criterion="BN γ")
    assert len(app.warning) == 1
    assert "needs a batch-norm layer of its own" in app.warning[0].value


@pytest.mark.parametrize(
    ("network", "note"),
    [("vgg16", "has no addition that couples channels"), ("resnet50", "")],
    indirect=["network"],
)
def test_a_scope_that_makes_no_difference_is_said(
    open_app: OpenApp, network: Network, note: str
) -> None:
    assert network
    said = words(open_app("layers", **USUAL, scope="internal"))
    assert ("*internal* is *all*" in said) == bool(note)
    assert note in said
    assert "*internal* is *all*" not in words(open_app("layers", **USUAL))


def test_random_networks_are_what_these_tests_say(trained: Checkpoint) -> None:
    for name in WIDTHS:
        network = built(name, trained.signature)
        assert all(torch.isfinite(tensor).all() for tensor in network.tensors().values())


@with_each_network
def test_the_page_baseline_shows_the_network(open_app: OpenApp, network: Network) -> None:
    app = open_app("baseline", **USUAL)
    facts = " ".join(map(str, app.table[-1].value.to_numpy().flatten()))
    assert f"{sum(each.numel() for each in network.module.parameters()):,}" in facts
    bars = [frames["layers"] for frames in frames_of(app) if "layers" in frames]
    assert [len(frame) for frame in bars] == [len(network.layers)] * 2
    assert len(app.dataframe[-1].value) == len(network.groups)
    shown = {text.value for each in app.expander for text in each.text}
    assert shown == {*network.structure.fixed.values(), *network.structure.computed.values()}


def test_nothing_in_the_name_of_a_setting_is_markup(
    open_app: OpenApp, checkpoints: Path, trained: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = checkpoints / f"{NAME}.safetensors"
    checkpoint.save(trained.network, path, "digits", metadata_of(trained))
    facts = {"Settings": "**bold** [x](javascript:1) <b> :red[r]"}
    monkeypatch.setattr("core.ui.baseline.network.describe_network", lambda _: facts)
    (shown,) = open_app("baseline", **USUAL).table[-1].value.to_numpy().flatten()
    assert shown == r"\*\*bold\*\* \[x\](javascript\:1) \<b\> \:red\[r\]"
