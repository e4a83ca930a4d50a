"""The same measurement has the same key, and no other one has it."""

import json
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from core.errors import InputError
from core.results import ALGORITHM, Key
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.specs.vocabulary import METHODS
from tests.combinations import COMBINATIONS
from tests.results.conftest import key_of

# The same


@pytest.mark.parametrize(
    ("method", "without_effect"),
    [
        ("fine", {"criterion": "l2"}),
        ("fine", {"scope": "internal"}),
        ("fine", {"seed": 3}),
        ("channel", {"seed": 3}),
        ("channel", {"criterion": "l1", "allocation": "uniform", "scope": "all"}),
        ("channel-mask", {"allocation": "global"}),
        ("channel-mask", {"scope": "internal"}),
        ("channel-mask", {"round_to": 8}),
        ("fine", {"round_to": 8}),
        ("fine", {"floor": 0.5, "ceiling": 0.5}),
        ("channel", {"floor": 0.5, "ceiling": 0.5}),
    ],
    ids=str,
)
def test_a_setting_without_effect_makes_no_other_key(
    method: str, without_effect: dict[str, Any]
) -> None:
    plain, told = key_of(method), key_of(method, spec=without_effect)
    assert told == plain
    assert hash(told) == hash(plain)
    assert told.settings == plain.settings
    assert told.spec == PruningSpec(method, 0.3)


def test_evidence_counts_where_a_criterion_needs_it() -> None:
    assert key_of("channel", evidence="a") == key_of("channel")
    assert key_of("channel", 0.0, spec={"criterion": "taylor"}, evidence="a") == key_of("fine", 0.0)
    one = key_of("channel", spec={"criterion": "taylor"}, evidence="a")
    other = key_of("channel", spec={"criterion": "taylor"}, evidence="b")
    assert one != other
    assert one.settings != other.settings


def test_the_unpruned_network_is_the_same_by_every_method() -> None:
    specs = [
        PruningSpec(method, ratio, criterion, allocation, scope, seed)
        for method, criterion, allocation, scope in COMBINATIONS
        for seed, ratio in product((0, 7), (0.0, -0.0, 0, 1e-12))
    ]
    specs += [replace(spec, overrides=(("conv1", 0),)) for spec in specs if spec.ratio == 0]
    keys = {replace(key_of(), spec=spec) for spec in specs}
    assert keys == {key_of("fine", 0.0)}
    assert {key.settings for key in keys} == {'{"method":"fine"}'}


@pytest.mark.parametrize(("ratio", "hundredth"), [(0.1 + 0.2, 0.3), (1, 1.0), (0.07 * 3, 0.21)])
def test_a_ratio_that_is_nearly_in_hundredths_is_rounded(ratio: float, hundredth: float) -> None:
    assert ratio != hundredth or isinstance(ratio, int)
    assert key_of("channel", ratio) == key_of("channel", hundredth)
    assert repr(key_of("channel", ratio).spec.ratio) == repr(hundredth)


def test_every_hundredth_is_itself() -> None:
    keys = [key_of("channel", hundredths / 100) for hundredths in range(101)]
    assert [key.hundredths for key in keys] == list(range(101))
    assert len(set(keys)) == 101


# Others


def test_what_changes_the_counts_makes_another_key() -> None:
    keys = [
        key_of(),
        key_of("fine", 0.31),
        key_of("fine", 0.0),
        key_of("channel"),
        key_of("channel-mask"),
        key_of("channel", spec={"criterion": "l2"}),
        key_of("channel", spec={"criterion": "bn"}),
        key_of("channel", spec={"allocation": "global"}),
        key_of("channel", spec={"scope": "internal"}),
        key_of("fine", spec={"allocation": "global"}),
        key_of("fine", spec={"criterion": "random"}),
        key_of("fine", spec={"criterion": "random", "seed": 1}),
        key_of("fine", spec={"criterion": "random", "seed": 2}),
        key_of(recovery=Recovery("bn", 2000)),
        key_of(recovery=Recovery("bn", 1000)),
        key_of(recovery=Recovery("bn", 2000, 1)),
        key_of(checkpoint="fedcba9876543210"),
        key_of(architecture="vgg16"),
        key_of(architecture='resnet18 {"stem":7}'),
        key_of(data="0123456789abcdef"),
        key_of(subset=100),
        key_of(subset=100, subset_seed=1),
        key_of(precision="fp32"),
        key_of(algorithm=ALGORITHM + 1),
    ]
    assert len(set(keys)) == len(keys)
    columns = {
        (
            *(key.checkpoint, key.data, key.algorithm, key.settings, key.recovery_settings),
            *(key.hundredths, key.subset, key.subset_seed, key.precision, key.architecture),
        )
        for key in keys
    }
    assert len(columns) == len(keys)


# As text


@pytest.mark.parametrize(
    ("key", "settings"),
    [
        (key_of(), '{"method":"fine"}'),
        (key_of("channel", 0.9), '{"method":"channel"}'),
        (
            key_of("channel", spec={"criterion": "bn", "allocation": "global"}),
            '{"allocation":"global","criterion":"bn","method":"channel"}',
        ),
        (
            key_of("channel", spec={"criterion": "random", "scope": "internal", "seed": 5}),
            '{"criterion":"random","method":"channel","scope":"internal","seed":5}',
        ),
        (
            key_of("fine", spec={"criterion": "random", "seed": 0}),
            '{"criterion":"random","method":"fine"}',
        ),
        (
            key_of("channel-mask", spec={"criterion": "l2"}),
            '{"criterion":"l2","method":"channel-mask"}',
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_settings_leave_out_the_ratio_and_what_is_at_its_default(key: Key, settings: str) -> None:
    assert key.settings == settings


def test_the_spec_comes_back_from_the_settings() -> None:
    for (method, criterion, allocation, scope), seed, overrides in product(
        COMBINATIONS, (0, 2**63 - 1), ((), (("conv1", 1 / 3), ("fc", 0)))
    ):
        spec = PruningSpec(method, 0.29, criterion, allocation, scope, seed, overrides)
        key = replace(key_of(), spec=spec)
        assert PruningSpec(ratio=key.hundredths / 100, **json.loads(key.settings)) == key.spec


def test_other_overrides_are_another_key() -> None:
    ways = [(), (("conv1", 0.5),), (("conv1", 0.6),), (("fc", 0.5),), (("conv1", 0.5), ("fc", 0.5))]
    for method in METHODS:
        for ratio in (0.0, 0.5):
            keys = {key_of(method, ratio, spec={"overrides": overrides}) for overrides in ways}
            assert len(keys) == len({key.settings for key in keys}) == len(ways)
    assert key_of(spec={"overrides": [("fc", 0.5), ("conv1", 0.25)]}) == key_of(
        spec={"overrides": (("conv1", 0.25), ("fc", 0.5))}
    )


@pytest.mark.parametrize(
    ("recovery", "settings"),
    [
        (Recovery(), '{"method":"none"}'),
        (Recovery.named("bn"), '{"images":2000,"method":"bn","seed":0}'),
        (Recovery("bn", 500, 3), '{"images":500,"method":"bn","seed":3}'),
    ],
    ids=["none", "usual", "other"],
)
def test_recoveries_as_text(recovery: Recovery, settings: str) -> None:
    assert key_of(recovery=recovery).recovery_settings == settings


# Refusing


@pytest.mark.parametrize("ratio", [0.005, 1 / 3, 0.301, 1e-6, 0.5000001, 0.999999])
def test_a_ratio_between_hundredths_is_refused(ratio: float) -> None:
    with pytest.raises(InputError, match=rf"hundredths, not for {ratio!r}\.$"):
        key_of("channel", ratio)


@pytest.mark.parametrize("precision", ["auto", "fp16", "FP32", "", "float32"])
def test_a_precision_that_was_not_resolved_is_refused(precision: str) -> None:
    with pytest.raises(InputError, match=rf"fp32 or bf16, not {precision!r}\.$"):
        key_of(precision=precision)


def test_no_recovery_is_one_key() -> None:
    assert key_of(recovery=Recovery("none", 5)) == key_of(recovery=Recovery())
