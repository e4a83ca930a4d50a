"""A scan gives the counts of full evaluations, exactly, and runs only what pruning changed."""

import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook
from torch.nn.utils.parametrizations import weight_norm
from torchvision.models.resnet import BasicBlock

from core.data.dataset import DataSet
from core.errors import InputError
from core.networks.checkpoint import Checkpoint
from core.networks.layers import prunable_layers
from core.networks.network import Network
from core.pruning import prune
from core.results import Result, ResultStore
from core.specs.point import UNPRUNED, Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.specs.vocabulary import METHODS
from core.studies.sensitivity import (
    OVERHEAD,
    SCAN_RATIOS,
    ScanMeasurer,
    first_changed_segment,
    scan_points,
    scan_work,
    units,
)
from core.sweeps.measurer import Measurer
from core.sweeps.sweep import sweep
from tests.environment import needs_native_bf16
from tests.networks import kinds
from tests.small_networks import followed, images, random_network

CPU = torch.device("cpu")
A_LITTLE = Recovery("bn", 60)
SUBSET = 120  # test images: a batch of 100 and a smaller one


def measurers(trained: Checkpoint, digits: DataSet, precision: str) -> tuple[Measurer, Measurer]:
    options: dict[str, Any] = {"subset": SUBSET, "seed": 3, "precision": precision, "device": CPU}
    return Measurer(trained, digits, **options), ScanMeasurer(trained, digits, **options)


def result_of(measurer: Measurer, point: Point) -> Result:
    *_, result = measurer.measure(point)
    assert isinstance(result, Result)
    return result


def assert_same(found: Result, expected: Result) -> None:
    assert found.key == expected.key
    assert np.array_equal(found.predictions, expected.predictions)
    assert found.loss_sum == expected.loss_sum
    assert found.cost == expected.cost


# The network in segments


def test_the_segments_one_after_another_are_the_network() -> None:
    model = random_network()
    with torch.inference_mode():
        passed = images()
        for segment in model.segments:
            passed = segment.run(passed)
        assert torch.equal(passed, model.module(images()))
    assert len(model.segments) == 10


@pytest.mark.parametrize("name", [name for name, _ in random_network().module.named_parameters()])
def test_a_tensor_belongs_to_the_segment_that_it_changes(name: str) -> None:
    def outputs(network: Network) -> list[torch.Tensor]:
        found, passed = [], images()
        with torch.inference_mode():
            for segment in network.segments:
                passed = segment.run(passed)
                found.append(passed)
        return found

    model, changed = random_network(), random_network()
    with torch.no_grad():
        changed.module.get_parameter(name).mul_(-1.5)
    before, after = outputs(model), outputs(changed)
    first = next(i for i in range(10) if not torch.equal(before[i], after[i]))
    assert model.segments[first].owns(name)
    assert first == first_changed_segment(model, changed)


def test_equal_networks_differ_past_the_last_segment() -> None:
    assert first_changed_segment(random_network(), random_network()) == 10


# What is scanned


def test_layers_are_scanned_alone_and_channels_by_group() -> None:
    model = random_network()
    assert list(units(model, "fine")) == list(prunable_layers(model.module))
    assert list(units(model, "channel-mask")) == [
        n for n in prunable_layers(model.module) if n != "fc"
    ]
    groups = units(model, "channel")
    assert len(groups) == 12
    assert groups == tuple(group.name for group in model.groups)


@pytest.mark.parametrize("criterion", ["l1", "bn"])
@pytest.mark.parametrize("method", [name for name in METHODS if name != "fine"])
def test_units_are_those_that_the_criterion_can_score(method: str, criterion: str) -> None:
    """A ratio of its own is refused for any other one."""
    middle = nn.Sequential(kinds.conv(8, 6), nn.BatchNorm2d(6), kinds.conv(6, 6), kinds.conv(6, 8))
    network = followed(kinds.Network(middle))
    found = units(network, method, criterion)
    taken = []
    everything = [group.name for group in network.groups] if method == "channel" else network.layers
    for name in everything:
        with suppress(InputError):
            prune(network, PruningSpec(method, 0.0, criterion, overrides=((name, 0.5),)))
            taken.append(name)
    assert list(found) == taken
    assert len(found) == (1 if criterion == "bn" else 4)


@pytest.mark.parametrize("module", [kinds.SharedParameter(), weight_norm(kinds.conv())])
def test_layers_whose_weight_is_not_their_own_are_no_units(module: nn.Module) -> None:
    network = followed(kinds.Network(module))
    for method in ("fine", "channel-mask"):
        found = units(network, method)
        assert len(found) < len(network.layers) - (method == "channel-mask")
        for name in network.layers:
            spec = PruningSpec(method, 0.0, overrides=((name, 0.5),))
            if name in found:
                prune(network, spec)
            else:
                with pytest.raises(InputError):
                    prune(network, spec)


def test_a_point_of_a_scan_takes_as_long_as_what_is_run_for_it() -> None:
    network = random_network()
    work = scan_work(network)
    macs = network.macs
    everything = sum(macs.values())

    def of(unit: str, recovery: str = "none") -> float:
        spec = PruningSpec("channel", 0.0, overrides=((unit, 0.5),))
        return work(Point(spec, Recovery.named(recovery))) - OVERHEAD

    assert of("conv1") == 1
    late = ("layer4.1.conv1", "layer4.1.conv2", "fc")
    assert of("layer4.1.conv1") == pytest.approx(sum(macs[name] for name in late) / everything)
    # Its stream is changed before its own block.
    assert of("layer4.0.conv2") == of("layer4.0.conv1") > of("layer4.1.conv1")
    assert of("layer4.1.conv1", "bn") == pytest.approx(2 * of("layer4.1.conv1"))
    assert work(Point(UNPRUNED, Recovery.named("none"))) - OVERHEAD == 1


@pytest.mark.parametrize("method", METHODS)
def test_one_unit_at_a_time_is_pruned(method: str) -> None:
    model = random_network()
    points = scan_points(model, method, (0.25, 0.5), ("none", "bn"))
    names = units(model, method)
    assert len(points) == len(set(points)) == 2 * (1 + 2 * len(names))
    assert [point.recovery.method for point in points] == ["none", "bn"] * (len(points) // 2)
    assert points[0].spec == UNPRUNED
    assert [point.spec.overrides for point in points[2::2]] == [
        ((name, ratio),) for name in names for ratio in (0.25, 0.5)
    ]
    for point in points:
        assert (point.spec.ratio, point.spec.allocation) == (0, "uniform")


def test_the_usual_scan_is_at_nine_ratios() -> None:
    assert tuple(round(0.1 * step, 1) for step in range(1, 10)) == SCAN_RATIOS


# The same counts


@pytest.mark.parametrize(
    ("method", "precision"),
    [
        *((method, "fp32") for method in METHODS),
        ("channel", "bf16"),
        pytest.param("fine", "bf16", marks=needs_native_bf16),
        pytest.param("channel-mask", "bf16", marks=needs_native_bf16),
    ],
)
def test_a_scan_gives_what_full_evaluations_give(
    trained: Checkpoint, digits: DataSet, method: str, precision: str
) -> None:
    full, scan = measurers(trained, digits, precision)
    points = [
        replace(point, recovery=recovery)
        for point in scan_points(trained.network, method, (0.5,), ("none",))
        for recovery in (Recovery(), A_LITTLE)
    ]
    expected = [result_of(full, point) for point in points]
    for point, result in zip(points, expected, strict=True):
        assert_same(result_of(scan, point), result)
    assert len({result.evaluation.correct for result in expected}) > 3  # else it shows nothing


def test_the_order_of_points_makes_no_difference(trained: Checkpoint, digits: DataSet) -> None:
    full, scan = measurers(trained, digits, "fp32")
    points = [
        Point(PruningSpec("fine", 0.0, overrides=((name, 0.8),)), recovery)
        for name in ("fc", "conv1", "layer2.0.conv1", "layer4.1.conv2")
        for recovery in (Recovery(), A_LITTLE)
    ]
    points += [Point(PruningSpec(method, 0.4), A_LITTLE) for method in METHODS]
    points += [Point(UNPRUNED, Recovery()), Point(UNPRUNED, A_LITTLE)]
    random.Random(0).shuffle(points)
    for point in points:
        assert_same(result_of(scan, point), result_of(full, point))


@pytest.mark.parametrize("events", range(1, 6))
def test_a_measurement_dropped_on_the_way_spoils_nothing(
    trained: Checkpoint, digits: DataSet, events: int
) -> None:
    full, scan = measurers(trained, digits, "fp32")
    early, late = (
        Point(PruningSpec("channel", 0.0, overrides=((name, 0.5),)), A_LITTLE)
        for name in ("layer1.1.conv1", "layer3.1.conv1")
    )
    for point in (late, early, late):
        for _event in islice(scan.measure(point), events):
            pass
    for point in (early, late):
        assert_same(result_of(scan, point), result_of(full, point))


def test_the_baseline_is_not_touched(trained: Checkpoint, digits: DataSet) -> None:
    before = {name: tensor.clone() for name, tensor in trained.network.module.state_dict().items()}
    _, scan = measurers(trained, digits, "fp32")
    for point in scan_points(trained.network, "channel", (0.5,), ("none",))[:4]:
        result_of(scan, replace(point, recovery=A_LITTLE))
    assert all(
        torch.equal(tensor, before[name])
        for name, tensor in trained.network.module.state_dict().items()
    )


# Only what changed is run


@pytest.fixture
def blocks_run() -> Iterator[list[BasicBlock]]:
    """Every block that runs, in any network."""
    run: list[BasicBlock] = []

    def note(module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(module, BasicBlock) and isinstance(output, torch.Tensor):  # not being traced
            run.append(module)

    handle = register_module_forward_hook(note)
    yield run
    handle.remove()


@pytest.mark.parametrize(
    ("name", "blocks"), [("layer1.0.conv1", 8), ("layer3.0.conv2", 4), ("layer4.1.conv2", 1)]
)
@pytest.mark.parametrize("recovery", [Recovery(), A_LITTLE], ids=lambda each: each.method)
def test_blocks_before_the_pruned_layer_run_once_for_all_ratios(
    trained: Checkpoint,
    digits: DataSet,
    blocks_run: list[BasicBlock],
    name: str,
    blocks: int,
    recovery: Recovery,
) -> None:
    _, scan = measurers(trained, digits, "fp32")
    batches = 2 + (recovery.method == "bn")  # of test images, and one of training images
    for ratio in (0.3, 0.5, 0.7):
        blocks_run.clear()
        result_of(scan, Point(PruningSpec("fine", 0.0, overrides=((name, ratio),)), recovery))
    assert len(blocks_run) == blocks * batches


def test_a_scan_is_kept_and_goes_on_where_it_stopped(
    trained: Checkpoint, digits: DataSet, store: ResultStore
) -> None:
    _, scan = measurers(trained, digits, "fp32")
    points = scan_points(trained.network, "channel", (0.5,), ("none",))
    for progress in sweep(scan, points, store):
        if progress.finished == 5:
            break
    again = [p for p in sweep(scan, points, store) if p.result is not None]
    assert len(again) == len(points) - 5
    for point in points:
        found = store.get(scan.key(point))
        assert found is not None
        assert found.compressed_bytes is None
        assert (found.cost.nonzero < store.get(scan.key(points[0])).cost.nonzero) is (  # type: ignore[union-attr]
            point.spec != UNPRUNED
        )
        assert found.cost.nonzero == sum(
            int((tensor != 0).sum())
            for tensor in prune(trained.network, point.spec).network.module.parameters()
        )


@pytest.fixture
def store(tmp_path: Any) -> ResultStore:
    return ResultStore(tmp_path / "results.sqlite")
