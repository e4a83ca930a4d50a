"""Planning in time, against direct formulas: where a layer's time is its work, time is MACs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.errors import InputError
from core.measuring.alternating import Round
from core.networks.network import Network
from core.pruning import Pruner
from core.specs.pruning import PruningSpec
from core.studies.budget import (
    LayerTimes,
    Sensitivity,
    measure_layer_times,
    problem_of,
    smallest_ratio,
    solve,
)
from core.studies.budget import times as budget_times
from core.studies.budget.times import PARTS, Grid, LayerShape, layer_shapes
from tests.small_networks import random_network

WHOLE = 0.25  # seconds


def as_work(network: Network) -> LayerTimes:
    """Times that are outputs times inputs times positions, so that they are MACs."""
    grids = {}
    for name, layer in network.layers.items():
        outputs, inputs = layer.weight.shape[:2]
        each = network.macs[name] / (outputs * inputs)
        known = [tuple(sorted({1, size // 2 or 1, size})) for size in (outputs, inputs)]
        grids[name] = Grid(known[0], known[1], each * np.outer(*map(np.array, known)))
    return LayerTimes(grids, WHOLE)


def macs(network: Network) -> int:
    return sum(network.macs.values())


@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("scope", ["all", "internal"])
def test_where_time_is_work_the_prediction_is_that_of_macs(ratio: float, scope: str) -> None:
    network = random_network()
    pruned = Pruner(network).prune(PruningSpec("channel", ratio, scope=scope)).network
    found = as_work(network).predict(pruned)
    assert found == pytest.approx(WHOLE * macs(pruned) / macs(network), rel=1e-12)


def test_the_problem_of_time_counts_what_that_of_macs_counts() -> None:
    network = random_network()
    timed, counted = as_work(network).problem(network), problem_of(network, "channel", "macs")
    assert timed.names == counted.names
    gone = np.random.default_rng(0).integers(0, counted.sizes, (20, len(counted.sizes)))
    expected = WHOLE * counted.left(gone) / counted.everything
    assert timed.left(gone) == pytest.approx(expected, rel=1e-12)
    assert timed.everything == pytest.approx(WHOLE)


def test_a_budget_in_time_is_met_and_predicted() -> None:
    network = random_network()
    times, pruner = as_work(network), Pruner(network)
    problem = times.problem(network)
    even = Sensitivity(tuple(step / 10 for step in range(1, 10)), tuple(range(1, 10)))
    ratios = solve(problem, dict.fromkeys(problem.names, even), 0.5)
    spec = PruningSpec("channel", 0.0, overrides=tuple(ratios.items()))
    assert times.predict(pruner.prune(spec).network) <= 0.5 * WHOLE
    one = smallest_ratio(pruner, PruningSpec("channel", 0.5), times.predict, 0.5)
    assert times.predict(pruner.prune(PruningSpec("channel", one)).network) <= 0.5 * WHOLE
    less = replace(PruningSpec("channel", one), ratio=one - 0.01)
    assert times.predict(pruner.prune(less).network) > 0.5 * WHOLE


def test_a_grid_is_interpolated_and_never_falls() -> None:
    grid = Grid((1, 4, 8), (2, 6), np.array([[1.0, 2.0], [0.5, 4.0], [3.0, 8.0]]))
    assert grid.at(np.array([1, 4, 8, 6]), np.array([2, 6, 4, 6])).tolist() == [1, 4, 5.5, 6]
    assert grid.at(np.array(4), np.array(2)) == 1  # not 0.5: fewer outputs take 1 already
    assert grid.at(np.array([0, 99]), np.array([0, 99])).tolist() == [1, 8]
    single = Grid((10,), (4, 8), np.array([[1.0, 3.0]]))
    assert single.at(np.array([10, 1]), np.array([6, 6])).tolist() == [2, 2]


def test_the_table_is_written_and_read() -> None:
    network = random_network()
    times = as_work(network)
    again = LayerTimes.from_json(times.to_json())
    assert again.whole == times.whole
    pruned = Pruner(network).prune(PruningSpec("channel", 0.37)).network
    assert again.predict(pruned) == times.predict(pruned)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"whole": 1, "layers": {}}', '{"whole": "x", "layers": {}}'),
        *('{"whole": 1, "layers": {"a": [[1], [2], [[1, 2]]]}}', '{"whole": 1, "layers": 3}'),
    ],
)
def test_a_damaged_table_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="damaged"):
        LayerTimes.from_json(text)


def test_each_layer_is_built_alone_as_it_is_used() -> None:
    network = random_network()
    shapes = layer_shapes(network, 3)
    assert shapes.keys() == network.layers.keys()
    for name, shape in shapes.items():
        layer, inputs = shape.build(shape.outputs, shape.inputs)
        assert layer.weight.shape == network.layers[name].weight.shape
        with torch.inference_mode():
            made = layer(inputs)
        positions = made[0].numel() // shape.outputs
        assert positions == network.structure.positions[name]
        assert made.shape[0] == 3
    assert not any(layer._forward_pre_hooks for layer in network.module.modules())


def test_depthwise_and_grouped_convolutions_stay_in_groups() -> None:
    depthwise = LayerShape.of(nn.Conv2d(8, 8, 3, groups=8), (2, 8, 6, 6))
    layer, inputs = depthwise.build(5, 1)
    assert layer(inputs).shape == (2, 5, 4, 4)
    grouped = LayerShape.of(nn.Conv2d(8, 8, 3, groups=2), (2, 8, 6, 6))
    assert (grouped.outputs, grouped.inputs) == (8, 4)
    layer, inputs = grouped.build(6, 3)
    assert layer(inputs).shape == (2, 6, 4, 4)


def test_every_width_is_timed_once_a_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_times, "ROUNDS", 1)
    monkeypatch.setattr(budget_times, "LEAST_SECONDS", 0)
    network = random_network()
    built: list[tuple[int, ...]] = []

    def prepare(layer: nn.Module, inputs: Tensor) -> tuple[nn.Module, Tensor]:
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        built.append(tuple(layer.weight.shape[:2]))
        return layer, inputs

    events: list[Round] = []
    steps = measure_layer_times(network, WHOLE, 1, 1, prepare)
    while True:
        try:
            events.append(next(steps))
        except StopIteration as end:
            times = end.value
            break
    shapes = set(layer_shapes(network, 1).values())
    widths = [
        len({max(1, round(part * size)) for part in PARTS})
        for shape in shapes
        for size in (shape.outputs, shape.inputs)
    ]
    total = sum(a * b for a, b in zip(widths[::2], widths[1::2], strict=True))
    assert events[-1] == Round(total, total)
    assert len(built) == total + len(shapes)
    assert times.predict(network) == pytest.approx(WHOLE)
    smaller = Pruner(network).prune(PruningSpec("channel", 0.75)).network
    assert 0 < times.predict(smaller) <= WHOLE * 1.0001
