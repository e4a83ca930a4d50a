"""The benchmarks' arithmetic and output; no test here asserts a duration."""

import json
from collections.abc import Iterator

import pytest
import torch

from benchmarks import __main__ as command
from benchmarks import evaluation, material, pruning
from benchmarks.benchmark import Benchmark, Measured
from benchmarks.timing import PRODUCT_SIZES, alternate, product_rate, speedup
from core.data import loading
from core.data.dataset import DataMissingError, DataSet
from core.data.normalisation import CIFAR10
from core.measuring.evaluation import evaluate_fully
from tests.small_networks import new_network

KEYS = {
    "name",
    "value",
    "unit",
    "target",
    "bound",
    "holds",
    "timings",
    "note",
    "skipped",
    "weights",
}


class FakeClock:
    """Time passes only in what is timed."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def spend(self, seconds: float) -> float:
        self.now += seconds
        return seconds


def test_sides_alternate_and_the_warm_up_is_not_counted() -> None:
    clock = FakeClock()
    durations: dict[str, Iterator[float]] = {"a": iter([99, 1, 5, 2]), "b": iter([99, 8, 4, 6])}
    calls: list[tuple[str, int]] = []

    def side(name: str, number: int) -> float:
        calls.append((name, number))
        return clock.spend(next(durations[name]))

    checked: list[dict[str, float]] = []
    seconds = alternate(
        {"a": lambda number: side("a", number), "b": lambda number: side("b", number)},
        repeats=3,
        before=lambda: clock.spend(1000),
        check=lambda results: checked.append({**results, "spent": clock.spend(1000)}),
        clock=clock,
    )
    assert calls == [(name, number) for number in range(4) for name in "ab"]
    assert seconds == {"a": [1, 5, 2], "b": [8, 4, 6]}
    assert speedup(seconds, "a", "b") == 6 / 2  # the medians
    assert [(found["a"], found["b"]) for found in checked] == [(99, 99), (1, 8), (5, 4), (2, 6)]


def test_product_rate_is_that_of_the_best_size() -> None:
    names = [f"matrix product {size}" for size in PRODUCT_SIZES]
    # 4096: two products of 2 * 4096^3 operations each are the nearest to 3e11.
    seconds = dict(zip(names, [[9.0], [9.0], [2.0, 1.0, 4.0]], strict=True))
    assert product_rate(seconds) == 2 * 2 * 4096**3 / 2.0


@pytest.mark.parametrize(
    ("bounds", "value", "applies", "holds"),
    [
        ({"at_least": 2}, 2.0, True, True),
        ({"at_least": 2}, 1.9, True, False),
        ({"at_least": 2}, 1.9, False, None),
        ({"at_most": 2}, 2.0, True, True),
        ({"at_most": 2}, 2.1, True, False),
        ({}, 2.0, True, None),
    ],
)
def test_whether_a_target_holds(
    bounds: dict[str, float], value: float, applies: bool, holds: bool | None
) -> None:
    measured = Measured(value, {}, target_applies=applies)
    assert Benchmark("name", lambda _: measured, "s", **bounds).run(1).holds is holds


def test_plain_evaluation_sees_the_same_images() -> None:
    dataset = loading.load("digits")
    images, labels = dataset.test_images[:150], dataset.test_labels[:150]  # two plain batches
    model = new_network(4)
    torch.testing.assert_close(
        torch.stack([image for image, _ in evaluation.TorchvisionStyle(images, labels)]),  # type: ignore[attr-defined]
        CIFAR10.apply(images),
    )
    predicted = evaluation.plain_predictions(
        model.module, evaluation.TorchvisionStyle(images, labels), torch.device("cpu")
    )
    expected = evaluate_fully(model, images, labels, "fp32", torch.device("cpu"))
    assert (predicted == expected.predictions).all()


def test_new_ratios_differ() -> None:
    ratios = [pruning.new_ratio(number) for number in range(90)]
    assert len(set(ratios)) == 90
    assert 0 < min(ratios) <= max(ratios) < 1


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    # The second one also asserts that both libraries leave equally many parameters.
    wanted = ["prune-channel-vs-torch-pruning", "baseline-load"]
    assert command.main([*wanted, "--json", "--repeats", "1"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["name"] for line in lines] == wanted
    for line in lines:
        assert set(line) == KEYS
        assert line["value"] > 0
        assert line["holds"] in (True, False)
        assert line["skipped"] is None
        assert all(len(seconds) == 1 for seconds in line["timings"].values())
    assert set(lines[0]["timings"]) == {"core", "torch-pruning"}
    assert (lines[1]["target"], lines[1]["bound"], lines[1]["unit"]) == (1, "<=", "s")


def test_the_table_is_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["baseline-load", "prune-channel", "--repeats", "1"]) == 0
    weights, head, *rows = capsys.readouterr().out.splitlines()
    assert weights.startswith("Weights: ")
    assert [row.split()[0] for row in rows] == ["prune-channel", "baseline-load"]
    for row in rows:
        assert row.index("<=") == head.index("target")


def test_an_unknown_name_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["baseline-load", "speed"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("There is no benchmark 'speed': choose from evaluate, ")
    assert output.err.count("\n") == 1


@pytest.mark.parametrize("repeats", ["0", "-1", "two", ""])
def test_repeats_are_checked(repeats: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.main(["baseline-load", f"--repeats={repeats}"])
    assert stopped.value.code == 2
    assert "whole number from 1 on" in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_what_needs_images_is_skipped_without_them(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(_: str) -> DataSet:
        raise DataMissingError("CIFAR-10 is not on this machine.")

    material.images.cache_clear()
    monkeypatch.setattr(loading, "load", missing)
    assert command.main(["evaluate", "evaluate-rate", "train", *options]) == 0
    lines = capsys.readouterr().out.splitlines()[-3:]
    if options:
        results = [json.loads(line) for line in lines]
        assert [line["name"] for line in results] == ["evaluate", "evaluate-rate", "train"]
        assert all("CIFAR-10" in line["skipped"] for line in results)
        assert all(line["value"] is None and line["holds"] is None for line in results)
    else:
        assert all("Skipped" in line and "CIFAR-10" in line for line in lines)
