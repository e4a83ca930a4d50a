"""The frame that the curves are drawn from."""

from pathlib import Path

from core.data.dataset import DataSet
from core.networks.checkpoint import Checkpoint
from core.pruning import Pruner
from core.results import ResultStore
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import NOTHING
from core.sweeps.known import BASELINE, KnownResults
from core.sweeps.reading import Reading
from core.ui.compare.curves import curve_frame
from core.ui.sidebar.settings import Settings

SETTINGS = Settings(
    dataset="digits",
    baseline=None,
    subset=250,
    seed=0,
    ratio=0.5,
    match="ratio",
    recovery=NOTHING,
    weight_allocation="uniform",
    weight_criterion="l1",
    criterion="l1",
    channel_allocation="uniform",
    scope="all",
    channel_method="channel",
    rest_ratio=0.5,
    ceiling=1.0,
    floor=0.0,
    round_to=1,
)


def test_the_curve_frame_has_every_known_point_once(
    tmp_path: Path, trained: Checkpoint, digits: DataSet
) -> None:
    store = ResultStore(tmp_path / "results.sqlite")
    known = KnownResults(
        store, trained, lambda: digits, lambda: Pruner(trained.network), subset=100
    )
    *_, _ = known.measure(BASELINE)
    *_, reading = known.measure(Point(PruningSpec("fine", 0.5), NOTHING))
    assert isinstance(reading, Reading)
    result = reading.result
    frame = curve_frame(known, SETTINGS, result.cost)
    assert list(zip(frame["method"], frame["recovery"], frame["ratio"], strict=True)) == [
        ("Fine-grained", "as pruned", 0.0),
        ("Fine-grained", "as pruned", 0.5),
        ("Channels", "as pruned", 0.0),
    ]
    assert frame["correct"][1] == result.evaluation.correct
    assert (frame["low"] < frame["accuracy"]).all()
    assert (frame["accuracy"] < frame["high"]).all()
