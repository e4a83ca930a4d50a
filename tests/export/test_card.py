"""The run card: what was put in, in JSON and in words."""

import json
from typing import Any

from core.export.card import Accuracy, File, Origin, card_text, run_card
from core.measuring.statistics import wilson_interval
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import RECALIBRATED
from core.specs.written import point_of

POINT = Point(PruningSpec("channel", 0.5, overrides=(("layer1", 0.25),)), RECALIBRATED)


def accuracy(correct: int) -> Accuracy:
    interval = wilson_interval(correct, 1000)
    return Accuracy(correct, 1000, interval, "1,000 test images of CIFAR-10", "fp32")


def card(**other: Any) -> dict[str, Any]:
    made = {
        "origin": Origin("resnet18", "cifar10", "base.safetensors", "0123456789abcdef", POINT),
        "accuracy": accuracy(640),
        "baseline_accuracy": accuracy(918),
        "costs": {"parameters": 2_000_000, "macs": 140_000_000, "bytes": 4_100_000},
        "baseline_costs": {"parameters": 11_000_000, "macs": 555_000_000, "bytes": 22_000_000},
        "files": [File("net.onnx", 8_200_000, "ab" * 32)],
        "checks": {"onnx": "in ONNX Runtime, logits within 1e-06."},
        "versions": {"torch": "2.9"},
        "date": "2026-01-01T00:00:00+00:00",
        "command": "python -m core export 'channel 0.5 recovery=bn' --out net",
    }
    return run_card(**(made | other))  # type: ignore[arg-type]


def test_the_card_is_json_that_names_the_setting() -> None:
    found = json.loads(json.dumps(card()))
    assert found["accuracy"]["accuracy"] == 0.64
    assert found["accuracy"]["interval"] == list(wilson_interval(640, 1000))
    assert found["spec"]["overrides"] == [["layer1", 0.25]]
    assert found["recovery"] == RECALIBRATED.to_json()
    again = point_of(found["setting"])
    assert (again.spec.method, again.spec.ratio, again.recovery) == ("channel", 0.5, RECALIBRATED)
    assert found["files"] == [{"name": "net.onnx", "size": 8_200_000, "sha256": "ab" * 32}]


def test_the_text_says_every_number() -> None:
    text = card_text(card(latency={"milliseconds an image": 1.5}, notes=["Mind the inputs."]))
    for part in (
        "# resnet18, channel 0.5 recovery=bn",
        "64.0% ± 3.0, 640 of 1,000 right",
        "918 of 1,000 right",
        "| parameters | 2,000,000 | 11,000,000 |",
        "| multiply-accumulates for one image | 140,000,000 | 555,000,000 |",
        "milliseconds an image: 1.5",
        "ab" * 32,
        "Ratios of their own: layer1 0.25",
        "ONNX: in ONNX Runtime",
        "Mind the inputs.",
        "python -m core export 'channel 0.5 recovery=bn' --out net",
        "0123456789abcdef",
    ):
        assert part in text, part


def test_what_is_not_known_is_left_out() -> None:
    unknown = Origin("resnet18", "cifar10", "base.safetensors", "", None)
    found = card(origin=unknown, accuracy=None, baseline_accuracy=None, baseline_costs=None)
    text = card_text(found)
    assert "Not measured" in text
    assert "None" not in text
    assert "## Latency" not in text
