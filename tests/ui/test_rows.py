"""The rows of the layers' heatmaps: every layer once, in order, few enough, with names that fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.normalisation import CIFAR10
from core.formatting import LONGEST_NAME, shortener
from core.networks.layers import prunable_layers
from core.networks.registry import build_on_meta
from core.networks.signature import Signature
from core.specs.architecture import Architecture
from core.ui.layers.rows import (
    FOLDED,
    MOST_FOLDED,
    MOST_IN_SECTION,
    MOST_ROWS,
    foldable,
    rows_of,
    sections_of,
    stages_of,
)


def layers_of(name: str) -> list[str]:
    return list(prunable_layers(build_on_meta(Signature(Architecture(name), 10, 64, CIFAR10))))


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet44", "vgg16"])
def test_a_network_of_few_layers_has_a_row_for_each(name: str) -> None:
    layers = layers_of(name)
    rows = rows_of(layers)
    assert foldable(layers) == []
    assert [row.key for row in rows.rows] == layers
    assert rows.stages == stages_of(layers)


@pytest.mark.parametrize(
    "name",
    [
        *("resnet50", "resnet56", "mobilenet_v2", "torchvision:densenet201"),
        *("torchvision:resnet152", "torchvision:efficientnet_v2_l", "torchvision:googlenet"),
    ],
)
def test_a_deep_network_is_folded_and_any_section_unfolds(name: str) -> None:
    layers = layers_of(name)
    folded = rows_of(layers)
    assert len(folded.rows) <= MOST_FOLDED
    sections = sections_of(layers)
    assert [layer for names in sections.values() for layer in names] == layers
    for unfolded in [FOLDED, *foldable(layers)]:
        rows = rows_of(layers, unfolded)
        assert [layer for row in rows.rows for layer in row.layers] == layers
        assert len(rows.rows) <= MOST_ROWS
        assert len({row.key for row in rows.rows}) == len(rows.rows)
        assert len(set(rows.labels.values())) == len(rows.rows)
        for layer in sections.get(unfolded, []):
            assert rows.of(layer).layers == (layer,)


def test_the_blocks_of_a_resnet_50_are_its_rows_and_its_stages_unfold() -> None:
    layers = layers_of("resnet50")
    assert list(rows_of(layers).labels.values())[:5] == [
        *("conv1", "layer1.0 (4)", "layer1.1 (3)", "layer1.2 (3)", "layer2.0 (4)")
    ]
    assert foldable(layers) == ["layer1", "layer2", "layer3", "layer4"]
    assert "layer3.0.down" in rows_of(layers, "layer3").labels.values()


def test_a_stage_that_is_too_long_unfolds_in_parts() -> None:
    assert foldable(layers_of("mobilenet_v2")) == [
        *("features.0 to 6", "features.7 to 12", "features.13 to 18")
    ]


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "block1", "block2", "0", "1"]), min_size=1, max_size=4),
        min_size=1,
        max_size=150,
        unique_by=tuple,
    )
)
def test_any_names_are_split_into_sections_in_order(parts: list[list[str]]) -> None:
    layers = sorted(".".join(each) for each in parts)
    sections = sections_of(layers)
    assert [layer for names in sections.values() for layer in names] == layers
    assert all(len(names) <= MOST_IN_SECTION for names in sections.values())


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2", "torchvision:densenet201"])
def test_short_names_fit_and_differ(name: str) -> None:
    layers = layers_of(name)
    short = [shortener(layers)(layer) for layer in layers]
    assert len(set(short)) == len(layers)
    assert max(map(len, short)) <= LONGEST_NAME


def test_names_are_shortened_alike_and_only_if_one_is_too_long() -> None:
    short = shortener(["features.denseblock3.denselayer24.conv2", "features.conv0"])
    assert short("features.denseblock3.denselayer24.conv2") == "f.d3.d24.conv2"
    assert short("features.conv0") == "f.conv0"
    assert short("features.denseblock3") == "f.denseblock3"  # the last part stays
    assert shortener(["layer1.0.conv1"])("layer1.0.conv1") == "layer1.0.conv1"
    alike = ["convolutional_layers.one.conv", "classification_layers.one.conv"]
    assert [shortener(alike)(name) for name in alike] == alike
