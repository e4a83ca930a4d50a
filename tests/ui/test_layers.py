"""What the views of the layers work out, away from any page."""

import numpy as np
import pandas as pd
import pytest

from core.data.normalisation import CIFAR10
from core.networks.checkpoint import Checkpoint
from core.networks.fresh import Plan
from core.networks.signature import Signature
from core.pruning import prune
from core.specs.architecture import Architecture
from core.specs.pruning import PruningSpec
from core.ui.bench.resources import file_version
from core.ui.layers.by_hand import tolerable_ratios
from core.ui.layers.close_up import coupling, map_frame
from core.ui.layers.overview import describe_losses
from core.ui.layers.rows import stages_of
from core.ui.layers.sensitivity import Scan, describe_scan, duration, near_to, unit_of
from tests.small_networks import random_network

STRUCTURE = random_network().structure
GROUPS = STRUCTURE.groups


def losses(**by_unit: list[float]) -> pd.DataFrame:
    """The losses of each unit at 0.25, 0.5 and 0.75."""
    rows = [
        (unit, ratio, lost)
        for unit, values in by_unit.items()
        for ratio, lost in zip((0.25, 0.5, 0.75), values, strict=True)
    ]
    return pd.DataFrame(rows, columns=["unit", "ratio", "lost"])


def test_a_layer_bears_what_it_bore_at_every_smaller_ratio() -> None:
    found = tolerable_ratios(
        losses(
            all=[0.0, -0.01, 0.009],
            half=[0.0, 0.0, 0.2],
            none=[0.01, 0.0, 0.0],  # by chance better at larger ratios
        )
    )
    assert found == {"all": 0.75, "half": 0.5, "none": 0.0}


def test_words_name_the_most_fragile_and_count_the_padding() -> None:
    words = describe_scan(
        losses(stem=[0.1, 0.3, 0.8], a=[0, 0.009, 0.1], b=[0, 0.011, 0]), {"stem": "the stem"}
    )
    assert (
        words == "pruning half of the stem alone costs 30.0 points; 1 of 3 units cost less than 1."
    )
    assert describe_scan(losses(), {}) == "not scanned yet."


def test_words_name_the_worst_where_all_are_padding() -> None:
    words = describe_scan(losses(a=[0, 0.009, 0.1], b=[0, -0.0004, 0]), {"a": "a", "b": "b"})
    assert words == "pruning half of any single unit costs less than 1 point; the worst is a, 0.9."
    gained = describe_scan(losses(a=[0, -0.002, 0], b=[0, -0.0104, 0]), {"a": "a", "b": "b"})
    assert gained.endswith("the worst is a, −0.2.")


def test_words_set_coupled_channels_against_the_others() -> None:
    found = losses(stream=[0, 0.3, 0], stem=[0, 0.1, 0], a=[0, 0.01, 0], b=[0, 0.03, 0])
    assert describe_scan(found, {"stream": "stream"}, {"stream", "stem"}) == (
        "pruning half of stream alone costs 30.0 points; 0 of 4 units cost less than 1. On "
        "average, half of a coupled group, such as a residual stream, costs 20.0 points, half of "
        "another group 2.0."
    )
    begun = losses(stream=[0, 0.3, 0])
    assert describe_scan(begun, {"stream": "stream"}, {"stream", "stem"}) == (
        "pruning half of stream alone costs 30.0 points; 0 of 1 units cost less than 1."
    )


def pruned(**layers: tuple[float, int]) -> pd.DataFrame:
    """Sparsity and channels left of layers of 8 channels."""
    rows = [(name, sparsity, 8, left) for name, (sparsity, left) in layers.items()]
    return pd.DataFrame(rows, columns=["layer", "sparsity", "channels", "channels_left"])


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ({"a": (0.0, 8), "b": (0.0, 8)}, "no layer lost any weights."),
        ({"a": (0.5, 4), "b": (0.501, 4)}, "every layer lost 50% of its weights."),
        ({"a": (0.2, 8), "b": (0.6, 8)}, "b lost most, 60% of its weights."),
        ({"a": (0.91, 8), "b": (0.95, 8)}, "a and b lost more than 90% of the weights."),
        (
            {"a": (0.99, 1), "b": (0.95, 2), "c": (0.1, 8)},
            "a collapsed to a single channel; b lost more than 90% of the weights.",
        ),
        (
            dict.fromkeys("abcde", (0.95, 8)),
            "a, b, c and 2 more layers lost more than 90% of the weights.",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_stands_out_is_said(layers: dict[str, tuple[float, int]], words: str) -> None:
    assert describe_losses(pruned(**layers)) == words


def test_layers_are_grouped_by_stage_in_order() -> None:
    names = ["conv1", "layer1.0.conv1", "layer1.0.conv2", "layer2.0.conv1", "fc"]
    assert list(stages_of(names).items()) == [
        ("conv1", ["conv1"]),
        ("layer1", ["layer1.0.conv1", "layer1.0.conv2"]),
        ("layer2", ["layer2.0.conv1"]),
        ("fc", ["fc"]),
    ]


def test_a_layers_unit_is_itself_or_its_group() -> None:
    frame = losses()
    fine = Scan("fine", ("conv1", "layer1.0.conv2", "fc"), frame, 0)
    channel = Scan("channel", tuple(group.name for group in GROUPS), frame, 0)
    assert unit_of(GROUPS, fine, "layer1.0.conv2") == "layer1.0.conv2"
    assert unit_of(GROUPS, channel, "layer1.0.conv2") == "conv1"
    assert unit_of(GROUPS, channel, "layer1.0.conv1") == "layer1.0.conv1"
    assert unit_of(GROUPS, channel, "fc") == ""


def test_the_unit_of_a_layer_of_several_groups_or_a_depthwise_one_is_one_of_its_groups() -> None:
    def unit(name: str, width: int, layer: str) -> str:
        network = Plan(Signature(Architecture(name), 10, 32, CIFAR10), width).build(0)
        names = tuple(group.name for group in network.groups)
        return unit_of(network.groups, Scan("channel", names, losses(), 0), layer)

    assert unit("resnet56", 4, "layer2.0.conv2") == "layer2.0.conv2"
    assert unit("resnet56", 4, "layer1.3.conv2") == "conv1"
    assert unit("mobilenet_v2", 8, "features.2.conv.1.0") == "features.2.conv.0.0"


@pytest.mark.parametrize(("selected", "first"), [("unit 0", 0), ("unit 150", 50), ("", 0)])
def test_of_very_many_units_those_around_the_selected_one_are_shown(
    selected: str, first: int
) -> None:
    names = tuple(f"unit {number}" for number in range(340))
    assert near_to(names, selected) == names[first : first + 200]
    assert near_to(names, "unit 339") == names[140:]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "about 1 s"), (89, "about 89 s"), (600, "about 10 min"), (9000, "about 2.5 h")],
)
def test_a_time_is_said_in_a_fitting_unit(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_coupled_layers_are_named() -> None:
    assert "layer1.0.conv2, layer1.1.conv2" in coupling(STRUCTURE, "conv1", "channel")
    assert "on their own" in coupling(STRUCTURE, "layer1.0.conv1", "channel")
    assert "the network's output" in coupling(STRUCTURE, "fc", "channel")
    assert "independently" in coupling(STRUCTURE, "conv1", "channel-mask")


@pytest.mark.parametrize("ratio", [0.0, 0.4, 0.9])
@pytest.mark.parametrize("layer", ["conv1", "layer2.0.conv2", "fc"])
def test_cells_and_removed_areas_fill_the_map_and_nothing_twice(
    trained: Checkpoint, layer: str, ratio: float
) -> None:
    frame = map_frame(file_version(trained.path), PruningSpec("channel", ratio), layer)
    shape = trained.network.module.get_parameter(f"{layer}.weight").shape
    covered = np.zeros(shape[:2], dtype=int)
    for top, bottom, left, right in frame[["top", "bottom", "left", "right"]].to_numpy():
        covered[top:bottom, left:right] += 1
    assert (covered == 1).all()
    assert ((frame["state"] == "removed") == (frame["kept"] == 0)).all()
    areas = (frame["bottom"] - frame["top"]) * (frame["right"] - frame["left"])
    model = prune(trained.network, PruningSpec("channel", ratio)).network
    left_over = model.module.get_parameter(f"{layer}.weight").shape
    assert areas[frame["state"] == "stays"].sum() == left_over[0] * left_over[1]
