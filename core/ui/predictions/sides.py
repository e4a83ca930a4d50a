"""What is compared with what, and both results on the same images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import streamlit as st

from core.baselines.shelf import by_name
from core.results import Result
from core.specs.point import Point
from core.specs.recovery import BY_LABEL, NOTHING
from core.specs.vocabulary import CHANNELS, GRANULARITIES, RECOVERIES
from core.sweeps.known import BASELINE, KnownResults
from core.sweeps.reading import can_be_paired
from core.ui.bench.resources import file_version, load_checkpoint
from core.ui.bench.workbench import Workbench, known_results_of
from core.ui.parts.notices import explain_missing_images
from core.ui.parts.plain import plain
from core.ui.parts.progress import measured
from core.ui.sidebar.settings import baseline_name

UNPRUNED_NAME = "unpruned"


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two networks that are compared."""

    name: str
    known: KnownResults
    point: Point


@dataclass(frozen=True, eq=False)
class Pair:
    """Two networks with their results on the same images, in the same precision."""

    before: Side
    after: Side
    was: Result
    now: Result


def choose_sides(bench: Workbench) -> tuple[Side, Side]:
    """Draw the choice of the two networks."""
    options = _options(bench)
    names = list(options)
    first, second = st.columns(2)
    before = first.selectbox(
        "Before", names, key="before", bind="query-params", help=_HELP, index=0
    )
    after = second.selectbox(
        "After", names, key="after", bind="query-params", help=_HELP, index=names.index(CHANNELS)
    )
    return _side(bench, str(before), options), _side(bench, str(after), options)


def paired(before: Side, after: Side) -> Pair | None:
    """Look both results up, offering to measure what is missing; None if there is no pair.

    Shipped results may be on another copy of the images than this machine's, where the two are
    then measured.
    """
    sides = (before, after)
    for look_up in (_stored, _local):
        if pair := _pair_of(sides, look_up(sides)):
            return pair
    missing = [side for side, result in zip(sides, _stored(sides), strict=True) if result is None]
    missing = missing or list(sides)
    names = " and ".join(dict.fromkeys(side.name for side in missing))
    st.caption(f"To be measured on {after.known.subset:,} test images: {plain(names)}.")
    if not st.button("Measure", icon=":material/play_arrow:", key="measure_sides"):
        return None
    if not measure_here(missing):
        return None
    for look_up in (_stored, _local):
        if pair := _pair_of(sides, look_up(sides)):
            return pair
    if measure_here(list(sides)):  # what is stored is on another copy of the images
        return _pair_of(sides, _local(sides))
    return None


def measure_here(sides: Sequence[Side], accept: Callable[[Result], bool] = lambda _: True) -> bool:
    """Measure networks on this machine's images; return False where there are none."""
    slot = st.empty()
    for side in sides:
        if side.known.images is None:
            explain_missing_images(side.known.missing_images_reason)
            return False
        events = side.known.measure_on_local_images(side.point, accept)
        measured(slot, plain(side.name), events)
    return True


def _stored(sides: Sequence[Side]) -> list[Result | None]:
    return [side.known.result(side.point) for side in sides]


def _local(sides: Sequence[Side]) -> list[Result | None]:
    return [side.known.on_local_images(side.point) for side in sides]


def _pair_of(sides: Sequence[Side], found: Sequence[Result | None]) -> Pair | None:
    """Return the results as a pair, restricted to the chosen subset where they need to be."""
    was, now = found
    if was is None or now is None:
        return None
    before, after = sides
    if not can_be_paired(was, now):
        was, now = before.known.restrict_to_subset(was), after.known.restrict_to_subset(now)
    return Pair(before, after, was, now) if can_be_paired(was, now) else None


def _options(bench: Workbench) -> Mapping[str, tuple[str, str]]:
    """Return (method, recovery) by name; "" stands for the unpruned and the chosen recovery."""
    own = baseline_name(bench.checkpoint.path, bench.settings.dataset)
    found = {UNPRUNED_NAME: ("", "")}
    found |= {method: (method, "") for method in GRANULARITIES}
    found |= {
        f"{method}, {label}": (method, label) for method in GRANULARITIES for label in BY_LABEL
    }
    others = [name for name in by_name(bench.settings.dataset) if name != own]
    return found | {f"baseline {name}": ("", name) for name in others}


def _side(bench: Workbench, name: str, options: Mapping[str, tuple[str, str]]) -> Side:
    method, label = options[name]
    if not method:
        known = bench.known if not label else _other_baseline(bench, label)
        return Side(name, known, BASELINE)
    recovery = BY_LABEL[label] if label else bench.settings.recovery
    said = f"{method}, {RECOVERIES[recovery.method].label}"
    spec = bench.specs()[method]
    point = BASELINE if spec.is_identity and recovery == NOTHING else Point(spec, recovery)
    return Side(said, bench.known, point)


def _other_baseline(bench: Workbench, name: str) -> KnownResults:
    file = file_version(by_name(bench.settings.dataset)[name])
    settings = replace(bench.settings, baseline=by_name(bench.settings.dataset)[name])
    return known_results_of(file, load_checkpoint(file), bench.known.store, settings)


_HELP = (
    "The unpruned network, either method at the slider's ratio with the sidebar's recovery or with "
    "another one, or another baseline of this data set, unpruned."
)
