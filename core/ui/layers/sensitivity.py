"""The view Sensitivity: the accuracy lost when one layer is pruned and all others are not."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from core import charts
from core.formatting import decimal, shortener
from core.measuring.statistics import wilson_interval
from core.networks.groups import Group
from core.results import StoreError
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.specs.vocabulary import GRANULARITIES, METHODS, RECOVERIES
from core.studies.sensitivity import (
    SCAN_IMAGES,
    SCAN_RATIOS,
    SCANNED,
    ScanMeasurer,
    scan_points,
    scan_work,
    units,
)
from core.sweeps.known import BASELINE
from core.sweeps.sweep import sweep
from core.ui.bench.workbench import Workbench
from core.ui.parts.chart import show_chart
from core.ui.parts.downloads import offer_all
from core.ui.parts.notices import explain_missing_images
from core.ui.parts.plain import plain, warn
from core.ui.parts.texts import show_remark, show_title

HALF = 0.5  # the ratio that the sentences describe
SCANNED_LABELS = {RECOVERIES[each].label: Recovery.named(each) for each in SCANNED}
SCAN_SEED = 0  # for drawing the images of a scan
WHY_THEY_DIFFER = (
    "Fine-grained pruning removes single weights, the smallest first. Removing a channel removes "
    "all of its weights, also large ones."
)
COUPLED = (
    " +2 means that the channel is also removed in two more layers, which a residual addition, or "
    "another operation on two tensors, couples with this one."
)
STALE = (
    " Most of the drop usually comes from stale batch-norm statistics, not from the missing "
    "channels: compare with *BN recalibrated*."
)
MOST_UNITS = 200  # in a heatmap, of 9 marks each, which has to stay below 2,000
COLUMNS = ["unit", "recovery", "ratio", "accuracy", "low", "high", "correct", "seen", "lost"]


@dataclass(frozen=True, eq=False)
class Scan:
    """The known points of one method. `losses` has a row for each point, with COLUMNS.

    At ratio 0 every unit has the result of the unpruned network.
    """

    method: str  # as core calls it
    units: tuple[str, ...]
    losses: pd.DataFrame
    missing: int  # number of points that were not measured


def show_sensitivity(bench: Workbench, layer: str) -> None:
    """Draw heatmaps of the accuracy lost by each layer alone, and the selected layer's curves."""
    above = st.container()
    scans = {name: load_scan(bench, bench.specs()[name]) for name in GRANULARITIES}
    if any(scan.missing for scan in scans.values()) and _scan_button(bench, scans):
        scans = {name: load_scan(bench, bench.specs()[name]) for name in GRANULARITIES}
    with above:
        _draw(bench, layer, scans)


def load_scan(bench: Workbench, spec: PruningSpec) -> Scan:
    """Look up the scan of a method and criterion; ratio and allocation of `spec` are ignored."""
    known = bench.known.on_subset(SCAN_IMAGES, SCAN_SEED)
    found = units(bench.checkpoint.network, spec.method, spec.criterion)
    points = _points(bench, spec)
    rows = []
    missing = 0
    for name, recovery in SCANNED_LABELS.items():
        asked = [point for point in points if point.recovery == recovery]
        places = [place for point in asked for place in point.spec.overrides]
        unpruned, *counts = known.counts(asked)
        whole = [((unit, 0.0), unpruned) for unit in found]
        for (unit, ratio), count in [*whole, *zip(places, counts, strict=True)]:
            if count is None or unpruned is None:
                missing += ratio > 0
                continue
            correct, seen = count
            lost = (unpruned[0] - correct) / seen
            interval = wilson_interval(correct, seen)
            rows.append((unit, name, ratio, correct / seen, *interval, correct, seen, lost))
    return Scan(spec.method, found, pd.DataFrame(rows, columns=COLUMNS), missing)


def _points(bench: Workbench, spec: PruningSpec) -> list[Point]:
    return scan_points(
        bench.checkpoint.network, spec.method, criterion=spec.criterion, seed=spec.seed
    )


def losses_of(bench: Workbench, spec: PruningSpec) -> pd.DataFrame:
    """Return the scanned losses of a method with the sidebar's recovery, or the nearest to it."""
    losses = load_scan(bench, spec).losses
    scanned = (name for name, each in SCANNED_LABELS.items() if each == bench.settings.recovery)
    return losses[losses["recovery"] == next(scanned, list(SCANNED_LABELS)[-1])]


def _scan_button(bench: Workbench, scans: Mapping[str, Scan]) -> bool:
    """Offer to measure missing points; return whether any were measured."""
    missing = sum(scan.missing for scan in scans.values())
    st.caption(
        f"{missing:,} points of this scan are not measured yet: each layer, or group of channels, "
        f"pruned alone at {len(SCAN_RATIOS)} ratios, on up to {SCAN_IMAGES:,} test images."
        + _how_long(bench, scans)
    )
    if not st.button("Scan the layers", icon=":material/troubleshoot:", key="scan_layers"):
        return False
    known = bench.known.on_subset(SCAN_IMAGES, SCAN_SEED)
    if known.images is None:
        explain_missing_images(known.missing_images_reason)
        return False
    measurer = known.measurer(ScanMeasurer)
    bar = st.progress(0.0, "Preparing …")
    points = [point for spec in bench.specs().values() for point in _points(bench, spec)]
    work = scan_work(bench.checkpoint.network)
    try:
        for progress in sweep(measurer, points, known.store, known.turn, work):
            left = progress.seconds_left
            bar.progress(
                progress.finished / max(1, progress.missing),
                f"{METHODS[progress.point.spec.method].granularity}: "
                f"{progress.finished} of {progress.missing} points"
                + (f", {duration(left)} left" if left is not None else "")
                + " (moving any control stops it; finished points are kept)",
            )
    except StoreError as error:
        warn(error)
    bar.empty()
    return True


def _how_long(bench: Workbench, scans: Mapping[str, Scan]) -> str:
    """Estimate the time of what is missing, if this machine has evaluated the baseline, else ""."""
    evaluated = bench.known.result(BASELINE)
    if evaluated is None or evaluated.origin.file:  # shipped: another machine's time
        return ""
    labels = bench.known.store.test_labels(evaluated.key.data)
    images = SCAN_IMAGES if labels is None else min(SCAN_IMAGES, len(labels))
    network = bench.checkpoint.network
    work = scan_work(network)
    specs = bench.specs()
    everything = sum(work(point) for spec in specs.values() for point in _points(bench, spec))
    number = sum(len(_points(bench, spec)) for spec in specs.values())
    part = min(1.0, sum(scan.missing for scan in scans.values()) / number)
    seconds = everything * part * evaluated.origin.seconds * images / evaluated.key.subset
    return f" By the time that evaluating the baseline took here, this takes {duration(seconds)}."


def _draw(bench: Workbench, layer: str, scans: Mapping[str, Scan]) -> None:
    show_title("**Sensitivity of each layer**: accuracy lost when only that layer is pruned")
    shown = st.segmented_control(
        "Accuracy",
        list(SCANNED_LABELS),
        default=next(iter(SCANNED_LABELS)),
        required=True,
        key="scan",
        bind="query-params",
        help="Recalibrated: batch-norm statistics are re-estimated after pruning, and the loss is "
        "relative to the recalibrated baseline.",
    )
    structure = bench.checkpoint.network.structure
    groups = structure.groups
    coupled = {group.name: len(group.producers) for group in groups if group.is_residual}
    downloads: dict[str, tuple[charts.Drawing, pd.DataFrame]] = {}
    for column, (name, scan) in zip(st.columns(len(scans)), scans.items(), strict=True):
        losses = scan.losses[(scan.losses["recovery"] == shown) & (scan.losses["ratio"] > 0)]
        others = coupled if METHODS[scan.method].prunes_groups else {}
        short = shortener(scan.units)
        labels = {
            unit: f"{short(unit)} +{others[unit] - 1}" if others.get(unit, 1) > 1 else short(unit)
            for unit in scan.units
        }
        selected = unit_of(groups, scan, layer)
        drawing = charts.sensitivity_heatmap(losses, labels, selected)
        if len(labels) > MOST_UNITS:
            near = near_to(scan.units, selected)
            drawing = charts.sensitivity_heatmap(
                losses[losses["unit"].isin(near)], {unit: labels[unit] for unit in near}, selected
            )
        with column:
            show_remark(f"**{name}**: {plain(describe_scan(losses, labels, others))}")
            if len(labels) > MOST_UNITS:
                show_remark(f"The {MOST_UNITS} rows around the selected layer, of {len(labels)}.")
            if not len(losses):
                continue
            show_chart(
                drawing,
                f"sensitivity_{name}",
                alt=f"Heatmap of the accuracy lost by {name} pruning of one layer alone.",
            )
        downloads[f"sensitivity-{name.lower()}"] = (drawing, losses)
    show_remark(
        WHY_THEY_DIFFER
        + (COUPLED if coupled else "")
        + (STALE if any(group.batch_norms for group in groups) else "")
    )
    curves = _curves(groups, scans, layer)
    if len(curves):
        of_layer = charts.accuracy_against(
            "ratio", curves, None, 1 / bench.classes, {}, study=False
        )
        show_remark(f"Accuracy of the network if only **{plain(layer)}** is pruned")
        show_chart(
            of_layer,
            "sensitivity_curves",
            alt=f"Accuracy against the ratio if only {layer} is pruned.",
        )
        downloads[f"sensitivity-{layer}"] = (of_layer, curves)
    if downloads:
        offer_all(downloads)


def unit_of(groups: tuple[Group, ...], scan: Scan, layer: str) -> str:
    """Return the unit that is pruned with a layer: itself or its group of channels; "" for none.

    Of several groups it is the one that has the layer's name, else the first.
    """
    if not METHODS[scan.method].prunes_groups:
        return layer if layer in scan.units else ""
    owners = [
        group.name
        for group in groups
        if group.name in scan.units and layer in (*group.producers, *group.depthwise)
    ]
    return layer if layer in owners else next(iter(owners), "")


def near_to(units: Sequence[str], selected: str) -> Sequence[str]:
    """Return MOST_UNITS consecutive units around the selected one, or the first ones."""
    middle = units.index(selected) if selected in units else 0
    start = max(0, min(middle - MOST_UNITS // 2, len(units) - MOST_UNITS))
    return units[start : start + MOST_UNITS]


def duration(seconds: float) -> str:
    """Format an estimated time, such as about 40 s, about 3 min or about 2.5 h."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"about {seconds / 60:.0f} min"
    return f"about {seconds / 3600:.1f} h"


def _curves(groups: tuple[Group, ...], scans: Mapping[str, Scan], layer: str) -> pd.DataFrame:
    """Return the points of the selected unit, as `charts.accuracy_against` takes them."""
    parts = [
        scan.losses[scan.losses["unit"] == unit_of(groups, scan, layer)].assign(method=name)
        for name, scan in scans.items()
    ]
    return pd.concat(parts, ignore_index=True).assign(parameters_removed=0.0, macs_removed=0.0)


def describe_scan(
    losses: pd.DataFrame, labels: Mapping[str, str], coupled: Collection[str] = ()
) -> str:
    """Describe the most sensitive units and how many are insensitive.

    Columns of `losses`: unit, ratio, lost (0 to 1). `labels` names the units. `coupled` are the
    units that an operation on two tensors couples; their mean is compared with that of the others.
    """
    half = losses[losses["ratio"] == HALF].sort_values("lost", kind="stable")
    if not len(half):
        return "not scanned yet."
    units_found, lost = list(half["unit"]), [100 * each for each in half["lost"]]
    unharmed = sum(each < 1 for each in lost)
    worst = labels[units_found[-1]]
    if unharmed == len(lost):
        text = (
            "pruning half of any single unit costs less than 1 point; the worst is "
            f"{worst}, {decimal(lost[-1])}."
        )
    else:
        text = (
            f"pruning half of {worst} alone costs {decimal(lost[-1])} points; "
            f"{unharmed} of {len(lost)} units cost less than 1."
        )
    if not coupled:
        return text
    means = 100 * half.groupby(half["unit"].isin(coupled))["lost"].mean()
    if len(means) < 2:  # an incomplete scan
        return text
    return (
        f"{text} On average, half of a coupled group, such as a residual stream, costs "
        f"{decimal(means[True])} points, half of another group {decimal(means[False])}."
    )
