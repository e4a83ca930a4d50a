"""Live evaluation, as the pages use it, without a page."""

from collections.abc import Iterator

import pytest
import streamlit as st

from core.checkpoint import Checkpoint
from core.data import DataSet
from core.pruning import PruningSpec
from core.ui import measuring
from core.ui.measuring import Measurements
from core.ui.resources import version_of

SPEC = PruningSpec("fine", 0.5)


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    st.cache_data.clear()
    st.cache_resource.clear()
    yield
    st.cache_data.clear()
    st.cache_resource.clear()


def measurements(
    trained: Checkpoint, digits: DataSet, subset: int = 250, seed: int = 0
) -> Measurements:
    return Measurements(version_of(trained.path), trained.fingerprint, digits, subset, seed)


def test_an_accuracy_comes_batch_by_batch_and_is_kept_when_complete(
    trained: Checkpoint, digits: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = measurements(trained, digits)
    seen = [measured.evaluation.seen for measured in here.measure(SPEC)]
    assert seen == [100, 200, 250]
    monkeypatch.setattr(measuring, "evaluate", None)  # nothing is evaluated a second time
    (again,) = measurements(trained, digits).measure(SPEC)
    assert again is here.known(SPEC)


def test_a_dropped_evaluation_keeps_nothing_and_gives_its_turn_back(
    trained: Checkpoint, digits: DataSet
) -> None:
    here = measurements(trained, digits)
    dropped = here.measure(SPEC)
    next(dropped)
    dropped.close()  # type: ignore[attr-defined]
    assert here.known(SPEC) is None
    assert list(here.measure(SPEC))[-1].evaluation.is_complete


def test_ratio_0_is_the_baseline(trained: Checkpoint, digits: DataSet) -> None:
    here = measurements(trained, digits)
    *_, baseline = here.measure(None)
    assert here.known(PruningSpec("channel", 0)) is baseline


def test_the_whole_test_set_is_the_same_for_every_seed(
    trained: Checkpoint, digits: DataSet
) -> None:
    *_, whole = measurements(trained, digits, subset=10_000, seed=1).measure(None)
    assert whole.evaluation.seen == len(digits.test_labels)
    assert measurements(trained, digits, subset=10_000, seed=2).known(None) is whole
    assert measurements(trained, digits, subset=250, seed=2).known(None) is None


def test_another_network_shares_nothing(trained: Checkpoint, digits: DataSet) -> None:
    list(measurements(trained, digits).measure(None))
    other = Measurements(version_of(trained.path), "another fingerprint", digits, 250, 0)
    assert other.known(None) is None


def test_only_so_many_are_kept() -> None:
    kept = measuring._Kept(2)
    keys = [measuring._Key("", None, "", 10, seed, "fp32") for seed in range(3)]
    for key in keys:
        kept.put(key, object())  # type: ignore[arg-type]
    assert kept.get(keys[0]) is None
    assert kept.get(keys[1]) is not None
    assert kept.get(keys[2]) is not None
