"""Budgets are met from below, exactly counted, and the choice is as good as trying everything."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from core.data.normalisation import CIFAR10
from core.errors import InputError
from core.measuring.cost import cost
from core.networks.fresh import Plan
from core.networks.network import Network
from core.networks.signature import Signature
from core.pruning import Pruner, prune
from core.specs.architecture import Architecture
from core.specs.pruning import PruningSpec
from core.studies.budget import (
    QUANTITIES,
    Problem,
    Sensitivity,
    problem_of,
    quantity_of,
    smallest_part,
    smallest_ratio,
    solve,
)
from tests.examples import expensive
from tests.networks import kinds
from tests.small_networks import (
    Widths,
    followed,
    random_bottleneck_resnet,
    random_network,
    random_vgg,
)

RATIOS = tuple(step / 10 for step in range(1, 10))
WIDTHS = Widths(streams=(5, 12, 7, 16), inner=(3, 9, 2, 30, 8, 11, 4, 20))


def some_bearings(problem: Problem, seed: int) -> dict[str, Sensitivity]:
    """Losses that rise unevenly, and not always."""
    rng = np.random.default_rng(seed)
    return {
        name: Sensitivity(RATIOS, tuple(rng.random() * np.cumsum(rng.normal(0.5, 1, len(RATIOS)))))
        for name in problem.names
    }


def left_after(model: Network, method: str, quantity: str, ratios: dict[str, float]) -> float:
    """Counted on the pruned network."""
    spec = PruningSpec(method, 0.0, overrides=tuple(ratios.items()))
    found = cost(prune(model, spec).network)
    if quantity == "macs":
        return found.macs_nonzero if method == "fine" else found.macs
    return found.nonzero if method == "fine" else found.parameters


@pytest.mark.parametrize("method", ["fine", "channel"])
@pytest.mark.parametrize("quantity", QUANTITIES)
@given(st.lists(st.floats(0, 0.95), min_size=22, max_size=22))
@expensive(10)
def test_what_is_left_is_what_the_pruned_network_costs(
    method: str, quantity: str, ratios: list[float]
) -> None:
    model = random_network(WIDTHS)
    problem = problem_of(model, method, quantity)
    chosen = dict(zip(problem.names, ratios, strict=False))
    gone = np.array(
        [
            min(round(chosen[name] * int(size)), int(size) - 1)
            for name, size in zip(problem.names, problem.sizes, strict=True)
        ]
    )
    expected = left_after(model, method, quantity, chosen)
    assert problem.left(gone) == pytest.approx(expected, rel=1e-12)
    assert problem.left(np.stack([gone, 0 * gone])).tolist() == pytest.approx(
        [expected, problem.everything], rel=1e-12
    )


@lru_cache
def new_network(name: str, width: int) -> Network:
    return Plan(Signature(Architecture(name), 10, 32, CIFAR10), width).build(0)


OTHERS: Mapping[str, Callable[[], Network]] = {
    **{
        f"{name} {width}": partial(new_network, name, width)
        for name, width in [
            ("mobilenet_v2", 8),  # depthwise layers
            ("resnet50", 4),
            ("resnet56", 4),  # streams in parts, which a shortcut pads with zeros
            ("vgg16", 4),
        ]
    },
    "several inputs a channel": lambda: followed(random_vgg()),
    "depthwise beside a shortcut": lambda: followed(random_bottleneck_resnet()),
    "groups": lambda: followed(
        kinds.Network(nn.Sequential(kinds.conv(8, 12, groups=2), kinds.conv(12, 8)))
    ),
    "two inputs of one layer, and a transposed convolution": lambda: followed(
        kinds.Network(kinds.UNet())
    ),
    "one layer, run twice": lambda: followed(kinds.Network(kinds.SharedLayer())),
    "two layers, one weight": lambda: followed(kinds.Network(kinds.SharedParameter())),
}


@pytest.mark.parametrize("network", OTHERS)
@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("seed", range(3))
def test_what_is_left_of_other_networks_is_what_they_cost(
    network: str, quantity: str, seed: int
) -> None:
    model = OTHERS[network]()
    problem = problem_of(model, "channel", quantity)
    gone = np.random.default_rng(seed).integers(0, problem.sizes)
    assert gone.any()
    ratios = dict(zip(problem.names, (gone / problem.sizes).tolist(), strict=True))
    expected = left_after(model, "channel", quantity, ratios)
    assert problem.left(gone) == expected
    assert problem.left(np.stack([gone, 0 * gone])).tolist() == [expected, problem.everything]
    assert problem.everything == left_after(model, "channel", quantity, {}) > expected


@pytest.mark.parametrize("method", ["fine", "channel"])
@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("part", [0.9, 0.5, 0.25])
@pytest.mark.parametrize("seed", range(3))
def test_a_budget_is_met_from_below_by_less_than_one_weight_or_channel(
    method: str, quantity: str, part: float, seed: int
) -> None:
    model = random_network(WIDTHS, seed)
    problem = problem_of(model, method, quantity)
    ratios = solve(problem, some_bearings(problem, seed), part)
    everything = left_after(model, method, quantity, {})
    budget = part * everything
    assert left_after(model, method, quantity, ratios) <= budget
    sizes = dict(zip(problem.names, problem.sizes.tolist(), strict=True))
    for name, ratio in ratios.items():
        one_back = ratios | {name: (round(ratio * sizes[name]) - 1) / sizes[name]}
        assert left_after(model, method, quantity, one_back) > budget
        assert ratio <= max(RATIOS)


def test_nothing_is_pruned_where_everything_may_stay() -> None:
    problem = problem_of(random_network(), "channel", "macs")
    assert solve(problem, some_bearings(problem, 0), 1.0) == {}


@pytest.mark.parametrize("method", ["fine", "channel"])
def test_a_budget_beyond_the_scan_is_refused_with_what_is_possible(method: str) -> None:
    model = random_network()
    problem = problem_of(model, method, "parameters")
    sensitivities = {name: Sensitivity((0.1, 0.5), (0.0, 0.1)) for name in problem.names}
    with pytest.raises(InputError, match="impossible") as caught:
        solve(problem, sensitivities, 0.1)
    halves = dict.fromkeys(problem.names, 0.5)
    least = left_after(model, method, "parameters", halves) / problem.everything
    assert f"{least:.1%} are left" in str(caught.value)


def test_layers_that_bear_all_go_before_those_that_bear_nothing() -> None:
    problem = problem_of(random_network(), "channel", "parameters")
    fragile = problem.names[::2]
    sensitivities = {
        name: Sensitivity(RATIOS, (0.5,) * 9 if name in fragile else (0.0,) * 9)
        for name in problem.names
    }
    assert not solve(problem, sensitivities, 0.7).keys() & set(fragile)


@pytest.mark.parametrize("seed", range(20))
def test_the_choice_is_close_to_the_best_of_all(seed: int) -> None:
    """Three units of ten, every combination tried."""
    rng = np.random.default_rng(seed)
    prices = rng.integers(1, 9, 3)

    def left(gone: np.ndarray) -> np.ndarray:
        result: np.ndarray = ((10 - gone) * prices).sum(-1)
        return result

    problem = Problem(("a", "b", "c"), np.array([10, 10, 10]), left)
    sensitivities = {
        name: Sensitivity(RATIOS, tuple(np.sort(rng.random(9)) ** 2 * rng.random()))
        for name in problem.names
    }

    def loss(gone: tuple[int, ...]) -> float:
        return sum(
            float(sensitivities[name].losses_at(np.array(number / 10)))
            for name, number in zip(problem.names, gone, strict=True)
        )

    for part in (0.8, 0.5, 0.3):
        ratios = solve(problem, sensitivities, part)
        found = tuple(round(10 * ratios.get(name, 0)) for name in problem.names)
        possible = [
            gone
            for gone in product(range(10), repeat=3)
            if left(np.array(gone)) <= part * problem.everything
        ]
        # Greedy is within one unit's last step of the best.
        best, steps = (
            min(map(loss, possible)),
            [np.diff([0, *b.losses]) for b in sensitivities.values()],
        )
        assert best - 1e-12 <= loss(found) <= best + max(step.max() for step in steps)


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize(
    "spec",
    [PruningSpec("fine", 0.5, allocation="lamp"), PruningSpec("channel", 0.5, allocation="global")],
    ids=lambda spec: spec.method,
)
@pytest.mark.parametrize("part", [1.0, 0.6, 0.4])
def test_one_ratio_for_all_meets_a_budget_from_below_by_less_than_a_hundredth(
    spec: PruningSpec, quantity: str, part: float
) -> None:
    pruner = Pruner(random_network())

    def quantity_left(network: Network) -> float:
        return quantity_of(cost(network), spec.method, quantity)

    def left(ratio: float) -> float:
        return quantity_left(pruner.prune(replace(spec, ratio=ratio)).network)

    found = smallest_ratio(pruner, spec, quantity_left, part)
    assert left(found) <= part * left(0)
    assert found == 0 or left(found - 0.01) > part * left(0)


def test_one_ratio_for_all_may_not_suffice() -> None:
    with pytest.raises(InputError, match="impossible"):
        smallest_ratio(
            Pruner(random_network()),
            PruningSpec("channel", 0.5, scope="internal"),
            lambda network: cost(network).macs,
            0.001,
        )


def test_unknown_words_are_refused() -> None:
    model = random_network()
    with pytest.raises(InputError, match="'bytes'"):
        problem_of(model, "fine", "bytes")
    with pytest.raises(InputError, match="'channel-mask'"):
        problem_of(model, "channel-mask", "macs")


# Searching for a part


@given(st.lists(st.floats(0, 1), min_size=101, max_size=101), st.floats(0, 1), st.floats(0, 1))
def test_the_smallest_part_loses_as_little_as_asked(
    losses: list[float], least: float, most_lost: float
) -> None:
    falling = sorted(losses, reverse=True)
    falling[100] = 0.0
    tried = []

    def loss_of(part: float) -> Generator[str, None, float]:
        tried.append(part)
        yield "an event"
        return falling[round(100 * part)]

    search = smallest_part(loss_of, least, most_lost)
    events = []
    while True:
        try:
            events.append(next(search))
        except StopIteration as end:
            found = end.value
            break
    assert len(events) == len(tried) <= 7
    allowed = [part for part in range(101) if part / 100 >= least - 1e-9]
    assert found == min(part for part in [*allowed, 100] if falling[part] <= most_lost) / 100
