"""The page Recovery: the ladder, and its next rung on request."""

from pathlib import Path

import pytest

from core.data.dataset import DataSet
from core.networks import checkpoint
from core.results import open_store
from core.specs.grid import grid
from core.studies.ladder import GRADUALLY, PRUNINGS, UNTRAINED
from core.sweeps.known import BASELINE
from core.sweeps.measurer import Measurer
from tests.conftest import MeasureInto
from tests.pages.conftest import OpenApp, assert_calm
from tests.pages.test_pages import frames_of, words

SETTINGS = {"dataset": "digits", "ratio": "0.5"}


@pytest.fixture
def measurer(small_baselines: dict[str, Path], digits: DataSet) -> Measurer:
    return Measurer(checkpoint.load(small_baselines["digits"]), digits)


def test_the_rungs_without_training_are_drawn_and_described(
    open_app: OpenApp, measurer: Measurer, measure_into: MeasureInto
) -> None:
    points = grid(["fine", "channel"], [0.5], recoveries=["none", "bn", "reconstruct"])
    points += grid(["channel"], [0.5], recoveries=["merge"])
    measure_into(open_store(), measurer, [BASELINE, *points])
    app = open_app("recovery", **SETTINGS)
    (frames,) = [each for each in frames_of(app) if "rungs" in each]
    drawn = frames["rungs"]
    assert len(drawn) == 2 * len(UNTRAINED) - 1  # single weights cannot be merged
    assert set(drawn["took"]) != {"not known"}
    assert frames["lines"].empty
    said = words(app)
    assert "Channels at 0.50:" in said
    assert "after reconstruction" in said


def test_go_on_runs_the_next_rung(
    open_app: OpenApp, small_baselines: dict[str, Path], checkpoints: Path
) -> None:
    assert small_baselines
    app = open_app("recovery", **SETTINGS)
    app.button(key="tune").click().run()
    assert_calm(app)
    (frames,) = [each for each in frames_of(app) if "rungs" in each]
    drawn = frames["rungs"]
    trained = drawn[drawn["images"] > 0]
    assert sorted(trained["method"]) == ["Channels", "Fine-grained"]
    assert set(trained["images"]) == {1297}  # one pass
    assert len(list((checkpoints / "local" / "tuned").glob("*.safetensors"))) == 2
    assert "after training on 1,297 images in" in words(app)
    again = open_app("recovery", **SETTINGS)
    (size,) = [each for each in again.selectbox if each.label == "Images to train on"]
    assert size.value == 3891  # three passes: the next one that the digits have
    assert "after training on 1,297 images in" in words(again)


def test_gradual_pruning_is_a_rung_too(
    open_app: OpenApp, small_baselines: dict[str, Path], checkpoints: Path
) -> None:
    assert small_baselines
    app = open_app("recovery", **SETTINGS)
    app.selectbox(key="tuned_method").set_value("Fine-grained").run()
    app.selectbox(key="tuned_way").set_value(GRADUALLY).run()
    app.button(key="tune").click().run()
    assert_calm(app)
    (file,) = (checkpoints / "local" / "tuned").glob("*.safetensors")
    assert checkpoint.read(file).metadata["recovery"]["prunings"] == PRUNINGS
    (frames,) = [each for each in frames_of(app) if "rungs" in each]
    assert set(frames["lines"]["way"]) == {GRADUALLY}


def test_what_cannot_be_gradual_is_said(
    open_app: OpenApp, small_baselines: dict[str, Path]
) -> None:
    assert small_baselines
    app = open_app("recovery", **SETTINGS, channels="masked")
    app.selectbox(key="tuned_method").set_value("Channels").run()
    app.selectbox(key="tuned_way").set_value(GRADUALLY).run()
    app.button(key="tune").click().run()
    assert_calm(app)
    assert "prunes at once" in words(app)


def test_at_ratio_0_there_is_nothing_to_bring_back(
    open_app: OpenApp, small_baselines: dict[str, Path]
) -> None:
    assert small_baselines
    app = open_app("recovery", dataset="digits", ratio="0.0")
    assert "nothing to bring back" in words(app)
    assert [each.key for each in app.button if each.key == "tune"] == []


@pytest.mark.usefixtures("no_images")
def test_without_images_it_says_what_it_needs(
    open_app: OpenApp, small_baselines: dict[str, Path]
) -> None:
    assert small_baselines
    app = open_app("recovery", dataset="CIFAR-10", ratio="0.5")
    app.button(key="tune").click().run()
    assert_calm(app)
    assert "needs the images" in words(app)


def test_reordering_falls_back_to_l1_for_a_criterion_of_weights(
    open_app: OpenApp, small_baselines: dict[str, Path]
) -> None:
    assert small_baselines
    app = open_app("layers", **SETTINGS, view="Reordering", criterion="Wanda")
    assert "sorted by L1" in words(app)
