"""Every setting on every page, compared with networks that are pruned here."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from torch import nn

from core.measuring.flips import DIRECTIONS
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint
from core.pruning import prune
from core.specs.pruning import PruningSpec
from core.ui.tour.tour import STOPS
from tests.pages.conftest import PAGES, OpenApp, assert_calm
from tests.pages.test_pages import frames_of, metrics, words

USUAL = {"dataset": "digits", "subset": "50"}


def nonzero(module: nn.Module) -> int:
    return sum(int(tensor.count_nonzero()) for tensor in module.parameters())


def left(app: AppTest) -> list[str]:
    return [metric.delta for metric in app.metric if metric.label == "Parameters"]


def assert_page_shows_its_content(app: AppTest, page: str, baseline: Checkpoint) -> None:
    if page == "layers":
        (overview, *_) = frames_of(app)
        assert len(overview["cells"]) == 2 * 21 * 20
    elif page == "baseline":
        accuracy = baseline.metadata["accuracy"]
        right = f"{accuracy['correct']} of {accuracy['seen']}"
        assert metrics(app)["Test images right"] == [right]
    elif page == "predictions":
        (bands,) = [each["bands"] for each in frames_of(app) if "bands" in each]
        assert set(bands["way"]) == set(DIRECTIONS)
    elif page == "recovery":
        said = words(app)
        assert "stay zero at every step" in said or "nothing to bring back" in said
    elif page == "efficiency":
        assert "nothing is pruned" in words(app) or "measured under these" in words(app)
    elif page == "choices":
        said = words(app)
        assert "on the same 500 test images" in said or "points are not measured yet" in said
    elif page == "tour":
        assert "on other images than these" in words(app)
        assert not any(stop.sentence in words(app) for stop in STOPS)
    else:
        assert page == "methods"
        assert "2 epochs of batches of 64 images" in words(app)


def fine(ratio: float = 0.3, criterion: str = "l1", **settings: object) -> PruningSpec:
    return PruningSpec("fine", ratio, criterion, **settings)  # type: ignore[arg-type]


def channel(ratio: float = 0.3, criterion: str = "l1", **settings: object) -> PruningSpec:
    return PruningSpec("channel", ratio, criterion, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("query", "specs", "card"),
    [
        (
            {"channels": "masked"},
            (fine(), PruningSpec("channel-mask", 0.3)),
            "masked · ratio 0.30",
        ),
        (
            {"criterion": "BN γ", "allocation": "global"},
            (fine(), channel(0.3, "bn", allocation="global")),
            "removed · ratio 0.30",
        ),
        (
            {"criterion": "L2", "scope": "internal"},
            (fine(0.3, "l2"), channel(0.3, "l2", scope="internal")),
            "removed · ratio 0.30",
        ),
        (
            {"criterion": "random", "seed": "7"},
            (fine(0.3, "random", seed=7), channel(0.3, "random", seed=7)),
            "removed · ratio 0.30",
        ),
        ({"ratio": "0"}, (fine(0), channel(0)), "removed · ratio 0.00"),
        (
            {"recovery": "BN recalibrated", "weights": "global"},
            (fine(allocation="global"), channel()),
            "removed + BN · ratio 0.30",
        ),
        ({"ratio": "0.95"}, (fine(0.95), channel(0.95)), "removed · ratio 0.95"),
        (
            {"match": "parameters left", "scope": "internal", "ratio": "0.95"},
            (fine(0.95), channel(0.95, scope="internal")),
            "removed · ratio 0.95",
        ),
        ({"x": "MACs"}, (fine(), channel()), "removed · ratio 0.30"),
        ({"ratio": "0.333", "subset": "77"}, (fine(0.33), channel(0.33)), "removed · ratio 0.33"),
        (  # none of these is understood
            {"ratio": "nan", "subset": "-5", "seed": "x", "criterion": "<b>"},
            (fine(), channel()),
            "removed · ratio 0.30",
        ),
    ],
    ids=str,
)
def test_every_setting_shows_on_every_page(
    open_app: OpenApp,
    small_baselines: dict[str, Path],
    query: dict[str, str],
    specs: tuple[PruningSpec, PruningSpec],
    card: str,
) -> None:
    baseline = checkpoint.load(small_baselines["digits"])
    pruned = [prune(baseline.network, spec).network for spec in specs]

    app = open_app("compare", **(USUAL | query))
    whole = nonzero(baseline.network.module)
    assert left(app) == [f"{nonzero(network.module) / whole:.1%} left" for network in pruned]
    assert f"**Channels**, {card}" in words(app)
    assert len(metrics(app)["Accuracy"]) == 2
    assert all(value.endswith("%") for value in metrics(app)["Accuracy"])

    close_up = open_app("layers", **(USUAL | {"view": "Close-up"} | query))
    bins = [frames["bins"] for frames in frames_of(close_up) if "bins" in frames]
    stem = nonzero(baseline.network.module.get_submodule("conv1"))
    gone = [stem - nonzero(network.module.get_submodule("conv1")) for network in pruned]
    assert [frame["cut"].sum() for frame in bins] == gone

    settings = {name: app.session_state[name] for name in query}
    for page in PAGES[1:]:
        app.switch_page(f"pages/{page}.py").run()
        assert_calm(app)
        assert {name: app.session_state[name] for name in query} == settings
        assert_page_shows_its_content(app, page, baseline)
