"""The page Choices: criteria against each other, and the map of mixes."""

from pathlib import Path

import pytest

from core.data.dataset import DataSet
from core.networks import checkpoint
from core.results import open_store
from core.specs.grid import grid
from core.specs.pruning import PruningSpec
from core.specs.recovery import NOTHING
from core.specs.vocabulary import CRITERIA, METHODS
from core.studies.mixes import CONTENDERS, MIX_RATIOS, mix_points
from core.sweeps.measurer import Measurer
from tests.conftest import MeasureInto
from tests.pages.conftest import OpenApp, assert_calm
from tests.pages.test_pages import frames_of, words

FREE = [name for name in METHODS["channel"].criteria if not CRITERIA[name].needs_images]
SETTINGS = {"dataset": "digits", "ratio": "0.5"}


@pytest.fixture
def measurer(small_baselines: dict[str, Path], digits: DataSet) -> Measurer:
    return Measurer(checkpoint.load(small_baselines["digits"]), digits)


def test_criteria_are_drawn_and_described(
    open_app: OpenApp, measurer: Measurer, measure_into: MeasureInto
) -> None:
    points = grid(["channel"], [0.5], criteria=FREE, recoveries=["none", "reconstruct"])
    measure_into(open_store(), measurer, points)
    app = open_app("choices", **SETTINGS)
    (frames,) = [each for each in frames_of(app) if "found" in each]
    drawn = frames["found"]
    assert set(drawn["criterion"]) == {CRITERIA[name].label for name in FREE}
    assert set(drawn["recovery"]) == {"as pruned", "reconstructed"}
    assert set(drawn["verdict"]) <= {"the best", "can't be told apart", "worse"}
    for _, of_one in drawn.groupby("recovery"):
        best = of_one[of_one["verdict"] == "the best"]
        assert len(best) == 1
        assert best["accuracy"].item() == of_one["accuracy"].max()
    said = words(app)
    assert "After reconstruction," in said
    assert "once reconstruction follows" in said
    missing = 3 * len(METHODS["channel"].criteria) - len(points)
    assert f"{missing} points are not measured yet" in said


def test_what_is_missing_is_measured_on_request(
    open_app: OpenApp, small_baselines: dict[str, Path]
) -> None:
    assert small_baselines
    app = open_app("choices", **SETTINGS, criteria_for="Fine-grained")
    (frames,) = [each for each in frames_of(app) if "found" in each]
    assert set(frames["found"]["criterion"]) == {"L1"}  # Compare has measured it
    app.button(key="measure_criteria").click().run()
    assert_calm(app)
    (frames,) = [each for each in frames_of(app) if "found" in each]
    labels = {CRITERIA[name].label for name in METHODS["fine"].criteria if name != "l2"}
    assert set(frames["found"]["criterion"]) == labels
    assert "points are not measured yet" not in words(
        open_app("choices", **SETTINGS, criteria_for="Fine-grained")
    )


def test_the_map_is_drawn_with_lines_of_equal_size(
    open_app: OpenApp, measurer: Measurer, measure_into: MeasureInto
) -> None:
    measure_into(open_store(), measurer, mix_points(PruningSpec("channel", 0.5), [NOTHING]))
    app = open_app("choices", **SETTINGS, choice="Hybrid", rest="0.3")
    (frames,) = [each for each in frames_of(app) if "cells" in each]
    assert len(frames["cells"]) == len(MIX_RATIOS) ** 2
    assert len(frames["contours"]) > 5
    marked = frames["current"].to_dict("records")
    assert [(row["ratio"], row["rest"]) for row in marked] == [
        (pytest.approx(0.5), pytest.approx(0.3))
    ]
    assert "With at most 30% of the parameters left" in words(app)
    best = frames["path"]
    assert len(best) > 2
    assert best["left"].is_monotonic_decreasing


def test_the_best_mixes_are_judged_on_other_images(
    open_app: OpenApp,
    measurer: Measurer,
    measure_into: MeasureInto,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("studies.mixes", "ui.choices.mixes", "ui.choices.path"):
        monkeypatch.setattr(f"core.{name}.MIX_IMAGES", 100)
    measure_into(open_store(), measurer, mix_points(PruningSpec("channel", 0.5), [NOTHING]))
    app = open_app("choices", **SETTINGS, choice="Hybrid")
    app.button(key="measure_path").click().run()
    assert_calm(app)
    (frames,) = [each for each in frames_of(app) if "judged" in each]
    judged = frames["judged"]
    assert set(judged["contender"]) <= set(CONTENDERS)
    assert set(judged["seen"]) == {400}
    assert "of the parameters," in words(app)


def test_no_image_may_both_choose_and_judge(
    open_app: OpenApp, measurer: Measurer, measure_into: MeasureInto
) -> None:
    measure_into(open_store(), measurer, mix_points(PruningSpec("channel", 0.5), [NOTHING]))
    app = open_app("choices", **SETTINGS, choice="Hybrid")
    assert "It takes more than 2,000 test images" in words(app)
    assert [each.key for each in app.button if each.key == "measure_path"] == []


def test_masked_filters_have_no_map(open_app: OpenApp, small_baselines: dict[str, Path]) -> None:
    assert small_baselines
    app = open_app("choices", **SETTINGS, choice="Hybrid", channels="masked")
    assert "not masked" in words(app)


def test_a_hybrid_is_compared(open_app: OpenApp, small_baselines: dict[str, Path]) -> None:
    assert small_baselines
    app = open_app(**SETTINGS, channels="hybrid", rest="0.4", subset="100")
    assert_calm(app)
    assert "ratio 0.50, then 0.40" in words(app)


def test_a_criterion_that_looks_at_images_is_prepared_once(
    open_app: OpenApp, small_baselines: dict[str, Path], checkpoints: Path
) -> None:
    assert small_baselines
    app = open_app(**SETTINGS, criterion="second-order", allocation="global", ceiling="80%")
    assert_calm(app)
    assert len(list((checkpoints / "local" / "evidence").glob("saliency-*"))) == 1


@pytest.mark.usefixtures("no_images")
def test_without_images_it_says_what_it_needs(
    open_app: OpenApp, small_baselines: dict[str, Path]
) -> None:
    assert small_baselines
    app = open_app("layers", dataset="CIFAR-10", criterion="Taylor")
    assert "looks at training images" in words(app)
