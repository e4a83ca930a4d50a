"""Two baselines beside each other on the page Compare, and the original study's marks."""

from pathlib import Path

import pytest

from core.charts import STUDY
from core.data.dataset import DataSet, subset_indices
from core.measuring.evaluation import evaluate_fully
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint
from core.paths import CHECKPOINTS
from core.pruning import prune
from core.results import open_store
from core.specs.grid import grid
from core.specs.pruning import PruningSpec
from core.studies.shipped_grid import FIVE_EPOCHS, FULL
from core.sweeps.measurer import Measurer
from tests.conftest import MeasureInto
from tests.pages.conftest import OpenApp, assert_calm, metadata_of
from tests.pages.test_pages import charts, frames_of, words
from tests.small_networks import Widths, random_network

OTHER = "narrow-digits-1ep"


@pytest.fixture
def two_baselines(
    small_baselines: dict[str, Path],
    trained: Checkpoint,
    digits: DataSet,
    measure_into: MeasureInto,
) -> dict[str, Path]:
    """A trained network, pruned on all test images, and a narrow random one on 200 of them."""
    wide = small_baselines["digits"]
    narrow = wide.with_stem(OTHER)
    checkpoint.save(random_network(Widths.regular(4)), narrow, "digits", metadata_of(trained))
    store = open_store()
    measured = grid(["fine", "channel"], [0.0, 0.3, 0.6], recoveries=["none"])
    measure_into(store, Measurer(checkpoint.load(wide), digits), measured)
    unpruned = grid(["fine"], [0.0], recoveries=["none"])
    measure_into(store, Measurer(checkpoint.load(narrow), digits, 200, 3), unpruned)
    return {wide.stem: wide, OTHER: narrow}


SETTINGS = {"dataset": "digits", "subset": "200", "seed": "3", "ratio": "0.3"}


def test_both_are_drawn_on_the_same_images_by_their_size(
    open_app: OpenApp, two_baselines: dict[str, Path], digits: DataSet
) -> None:
    wide, narrow = two_baselines
    app = open_app(**SETTINGS, baseline=wide, versus=narrow)
    assert app.selectbox(key="versus").value == narrow
    drawn = [frames for frames in frames_of(app) if "unpruned" in frames]
    assert len(drawn) == 2  # a chart for each method
    chosen = subset_indices(digits.test_labels, 200, 3)
    for frames, method in zip(drawn, ("fine", "channel"), strict=True):
        points = frames["points"].to_dict("records")
        assert {(row["baseline"], row["ratio"]) for row in points} == {
            *((wide, 0.0), (wide, 0.3), (wide, 0.6), (narrow, 0.0))
        }
        assert set(frames["unpruned"]["baseline"]) == {wide, narrow}
        for row in points:
            network = checkpoint.load(two_baselines[row["baseline"]]).network
            pruned = prune(network, PruningSpec(method, row["ratio"])).network
            assert row["nonzero"] == sum(pruned.nonzero.values())
            assert row["macs"] == sum(pruned.macs.values())
            result = evaluate_fully(
                pruned, digits.test_images[chosen], digits.test_labels[chosen], row["precision"]
            )
            assert (row["seen"], row["correct"]) == (200, result.correct)
    assert "All on the same 200 test images." in words(app)
    assert f"{narrow} unpruned is right on" in words(app)
    assert f"{narrow}, channels, BN recalibrated" in words(app)
    assert "not drawn" in words(app)
    sizes = [chart["layer"][1]["encoding"]["x"]["field"] for chart in charts(app)[1:]]
    assert sizes == ["nonzero"] * 2
    app.button_group(key="versus_x").set_value("MACs").run()
    assert_calm(app)
    sizes = [chart["layer"][1]["encoding"]["x"]["field"] for chart in charts(app)[1:]]
    assert sizes == ["macs"] * 2


def test_where_no_other_is_chosen_the_page_is_as_before(
    open_app: OpenApp, two_baselines: dict[str, Path]
) -> None:
    wide, narrow = two_baselines
    for versus in ({}, {"versus": wide}, {"versus": "<b>nobody</b>"}):
        app = open_app(**SETTINGS, baseline=wide, **versus)
        assert len(charts(app)) == 1
        assert app.selectbox(key="versus").options == ["no other baseline", narrow]
        assert "same 200 test images" not in words(app)
    two_baselines[narrow].unlink()
    app = open_app(**SETTINGS, baseline=wide)
    assert "versus" not in {box.key for box in app.selectbox}


def test_a_second_baseline_that_is_damaged_is_said(
    open_app: OpenApp, two_baselines: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    wide, narrow = two_baselines
    read = checkpoint.read

    def damaged(path: Path) -> Checkpoint:
        if path.stem == narrow:
            raise checkpoint.CheckpointError("It is damaged.")
        return read(path)

    monkeypatch.setattr("core.ui.bench.resources.checkpoint.read", damaged)
    app = open_app(**SETTINGS, baseline=wide, versus=narrow)
    assert [each.value for each in app.warning] == ["It is damaged."]


@pytest.mark.usefixtures("no_images")
def test_the_studys_results_are_shown_beside_its_network_only(
    open_app: OpenApp, checkpoints: Path, small_baselines: dict[str, Path]
) -> None:
    for file in [*CHECKPOINTS.glob("*.safetensors"), *CHECKPOINTS.glob("*.results.*")]:
        (checkpoints / file.name).symlink_to(file)
    shown = {}
    for dataset, name in [
        ("CIFAR-10", FIVE_EPOCHS),
        ("CIFAR-10", FULL),
        ("digits", small_baselines["digits"].stem),
    ]:
        app = open_app(dataset=dataset, baseline=name, subset="50")
        assert app.selectbox(key="baseline").value == name
        shown[name] = len(frames_of(app)[0]["study"])
        assert ("study" in {each.key for each in app.toggle}) == (dataset == "CIFAR-10")
    assert list(shown.values()) == [len(STUDY), len(STUDY), 0]


@pytest.mark.usefixtures("small_baselines", "no_images")
def test_without_the_baselines_of_the_findings_there_are_no_presets_and_the_tour_says_so(
    open_app: OpenApp,
) -> None:
    app = open_app("tour")
    assert "preset" not in {group.key for group in app.button_group}
    assert any(FULL in each.value for each in app.info)
