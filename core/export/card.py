"""The run card: what an exported network is, what it does and how to make it again. Plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.export.vocabulary import FORMATS
from core.formatting import percent, percent_within
from core.specs.point import Point
from core.specs.vocabulary import METHODS, NO_RECOVERY
from core.specs.written import text_of

COSTS = (
    ("parameters", "parameters"),
    ("nonzero", "of them not zero"),
    ("macs", "multiply-accumulates for one image"),
    ("macs_nonzero", "of them on weights that are not zero (theoretical)"),
    ("bytes", "bytes of the checkpoint's tensors"),
    ("compressed_bytes", "bytes when compressed"),
)
"""The costs that a card lists, and what each means."""


@dataclass(frozen=True)
class Accuracy:
    """The accuracy of a network on test images."""

    correct: int
    seen: int
    interval: tuple[float, float]  # Wilson, 95%
    images: str  # which they are, such as "all 10,000 test images of CIFAR-10"
    precision: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"accuracy": self.correct / self.seen, "interval": [*self.interval]}


@dataclass(frozen=True)
class File:
    """An exported file."""

    name: str
    size: int  # bytes
    sha256: str


@dataclass(frozen=True)
class Origin:
    """Where an exported network comes from."""

    architecture: str
    dataset: str
    baseline: str  # the name of its file
    fingerprint: str  # of the baseline's tensors; empty if it is not known
    point: Point | None  # None if it is not known


def run_card(
    origin: Origin,
    accuracy: Accuracy | None,
    baseline_accuracy: Accuracy | None,
    costs: Mapping[str, int | float],
    baseline_costs: Mapping[str, int | float] | None,
    files: Sequence[File],
    checks: Mapping[str, str],
    versions: Mapping[str, str],
    date: str,
    command: str,
    latency: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the card as JSON. What is None was not measured, or is not known.

    `costs` are by the names in COSTS, `checks` by format, and `latency` is any plain mapping with
    units in its keys.
    """
    point = origin.point
    return {
        "architecture": origin.architecture,
        "dataset": origin.dataset,
        "baseline": {"file": origin.baseline, "fingerprint": origin.fingerprint},
        "setting": None if point is None else text_of(point),
        "spec": None if point is None else asdict(point.spec.canonical()),
        "recovery": None if point is None else point.recovery.to_json(),
        "accuracy": accuracy and accuracy.to_json(),
        "baseline_accuracy": baseline_accuracy and baseline_accuracy.to_json(),
        "costs": dict(costs),
        "baseline_costs": None if baseline_costs is None else dict(baseline_costs),
        "latency": None if latency is None else dict(latency),
        "files": [asdict(each) for each in files],
        "checks": dict(checks),
        "notes": list(notes),
        "versions": dict(versions),
        "date": date,
        "command": command,
    }


def card_text(card: Mapping[str, Any]) -> str:
    """Write a card as Markdown."""
    setting = card["setting"] or "not recorded"
    parts = [
        f"# {card['architecture']}, {setting}",
        _list(_origin_lines(card)),
        "## Accuracy",
        _list(_accuracy_lines(card)),
        "## Costs",
        _costs_table(card),
    ]
    if card["latency"]:
        parts += ["## Latency", _list(f"{name}: {each}" for name, each in card["latency"].items())]
    parts += [
        "## Files",
        _list(
            f"`{each['name']}`, {each['size']:,} bytes, SHA-256 `{each['sha256']}`"
            for each in card["files"]
        ),
        "## Checks",
        _list(f"{FORMATS[name].label}: {check}" for name, check in card["checks"].items()),
    ]
    if card["notes"]:
        parts += ["## Notes", _list(card["notes"])]
    versions = ", ".join(f"{name} {version}" for name, version in card["versions"].items())
    parts += ["## Made", f"{card['date']}, with {versions}:", f"```\n{card['command']}\n```"]
    return "\n\n".join(parts) + "\n"


def _list(lines: Any) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _origin_lines(card: Mapping[str, Any]) -> list[str]:
    baseline, spec, recovery = card["baseline"], card["spec"], card["recovery"]
    known = f", fingerprint `{baseline['fingerprint']}`" if baseline["fingerprint"] else ""
    lines = [f"Baseline: {baseline['file']}{known}, trained on {card['dataset']}"]
    if spec is not None and spec["ratio"] + spec["rest_ratio"] + len(spec["overrides"]):
        lines.append(f"Pruning: {METHODS[spec['method']].label}, ratio {spec['ratio']:g}")
        if spec["overrides"]:
            own = ", ".join(f"{name} {ratio:g}" for name, ratio in spec["overrides"])
            lines.append(f"Ratios of their own: {own}")
    if recovery is not None and recovery["method"] != NO_RECOVERY:
        said = ", ".join(f"{name} {each}" for name, each in recovery.items() if name != "method")
        lines.append(f"Recovery: {recovery['method']}" + (f" ({said})" if said else ""))
    return lines


def _accuracy_lines(card: Mapping[str, Any]) -> list[str]:
    found = [
        f"{who}: {percent_within(each['accuracy'], *each['interval'])}, {each['correct']:,} of "
        f"{each['seen']:,} right (95% from {percent(each['interval'][0], 2)} to "
        f"{percent(each['interval'][1], 2)}), on {each['images']}, in {each['precision']}"
        for who, each in (
            ("This network", card["accuracy"]),
            ("Baseline", card["baseline_accuracy"]),
        )
        if each is not None
    ]
    return found or ["Not measured"]


def _costs_table(card: Mapping[str, Any]) -> str:
    costs, before = card["costs"], card["baseline_costs"]
    lines = ["| | this network | baseline |", "| --- | ---: | ---: |"]
    for name, meaning in COSTS:
        if name in costs:
            was = f"{before[name]:,.0f}" if before and name in before else ""
            lines.append(f"| {meaning} | {costs[name]:,.0f} | {was} |")
    return "\n".join(lines)
