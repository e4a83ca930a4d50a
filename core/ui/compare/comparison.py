"""The comparison of both methods: cards, sentences, curves and costs, in fixed slots."""

from dataclasses import dataclass, replace
from itertools import product

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.measuring.outcome import Cost, Evaluation
from core.networks.batch_norm import Recovering
from core.results import Result
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import BY_LABEL, NOTHING, RECALIBRATED, RECONSTRUCTED
from core.specs.vocabulary import GRANULARITIES, METHODS, RECOVERIES
from core.studies.choice import CHOICE_IMAGES, CHOICE_SEED
from core.sweeps.known import BASELINE
from core.sweeps.reading import Reading, can_be_paired
from core.ui.bench.resources import load_compressed_bytes
from core.ui.bench.workbench import Workbench
from core.ui.compare.curves import CurveChart, removed
from core.ui.compare.versus import show_versus
from core.ui.parts.cards import cost_table, method_card
from core.ui.parts.notices import explain_missing_images
from core.ui.parts.plain import plain
from core.ui.parts.progress import measured, show_progress
from core.ui.parts.sentences import Side, describe, describe_choice
from core.ui.parts.texts import show_sentences
from core.ui.sidebar.presets import BEST, is_set

CURVE_RATIOS = tuple(step / 10 for step in range(10))


@dataclass
class Subject:
    """One method at the current ratio, with its result if there is one."""

    spec: PruningSpec
    reading: Reading | None
    cost: Cost


class Comparison:
    """One run of the page: it reserves slots first and fills them as results arrive."""

    def __init__(self, bench: Workbench):
        self._bench = bench
        self._known = bench.known
        self._recovery = bench.settings.recovery
        self._subjects = {name: self._subject(spec) for name, spec in bench.specs().items()}
        self._baseline_cost = self._cost_of_baseline()
        self._measured_bytes: dict[str, int] = {}  # compressed sizes that no result contains
        self._notice = st.empty()
        self._cards: dict[str, DeltaGenerator] = {}
        columns = st.container(key="cards").columns(len(GRANULARITIES))
        for name, column in zip(GRANULARITIES, columns, strict=True):
            self._cards[name] = column.empty()
            self._draw_card(name)
        self._words = st.container(key="in_words").empty()
        self._draw_words()
        self._curves = CurveChart(bench, self._baseline_cost, is_final=not self._unknown())
        self._draw_curves()
        self._progress = st.empty()
        with st.container(key="aside_costs"):
            st.markdown("**Costs in full**")
            self._table = st.empty()
        self._draw_table()

    def measure(self) -> None:
        """Measure missing results, updating the page after every batch."""
        unknown, unpaired = self._unknown(), self._unpaired()
        if unknown or unpaired or (self._curves.asked_to_fill and self._unknown_on_curves()):
            if self._known.images is None:
                with self._notice.container():
                    explain_missing_images(self._known.missing_images_reason)
            else:
                self._measure(unknown, unpaired)
        elif any(each.reading and each.reading.is_nearest for each in self._subjects.values()):
            self._notice.caption(
                f"The ratio {self._bench.settings.ratio:.2f} was not measured with these settings, "
                "and measuring it needs the images. The nearest measured ratio is shown.",
                help=plain(self._known.missing_images_reason),
            )
        elif self._curves.asked_to_fill:
            self._notice.caption("Both curves are already measured at 0, 0.1 … 0.9.")
        for name, (spec, compressed) in self._compressed().items():
            if compressed is None:
                self._measured_bytes[name] = load_compressed_bytes(self._bench.file, spec)
        if self._measured_bytes:
            self._draw_table()

    def _unknown(self) -> list[str]:
        return [name for name, subject in self._subjects.items() if subject.reading is None]

    def _unpaired(self) -> list[str]:
        """Return methods whose result lacks a baseline in the same precision to compare with."""
        return [
            name
            for name, subject in self._subjects.items()
            if subject.reading and self._known.lacks_reference(subject.reading)
        ]

    def _unknown_on_curves(self) -> list[Point]:
        """Return the points that filling in the curves would measure."""
        points = [
            Point(self._bench.settings.spec(name, ratio), recovery)
            for ratio, name, recovery in product(CURVE_RATIOS, GRANULARITIES, BY_LABEL.values())
        ]
        return [point for point in points if self._known.result(point) is None]

    def _subject(self, spec: PruningSpec) -> Subject:
        """Look up a method's result; without images, use the nearest measured ratio."""
        point = Point(spec, self._recovery)
        if reading := self._known.read(point):
            return Subject(spec, reading, reading.result.cost)
        if self._known.images is None and (reading := self._known.read_nearest(point)):
            nearest = replace(spec, ratio=reading.result.key.spec.ratio)
            return Subject(nearest, reading, reading.result.cost)
        return Subject(spec, None, self._bench.cost(spec))

    def _measure(self, unknown: list[str], unpaired: list[str]) -> None:
        """Measure the baseline, then the missing methods, then the curves if requested."""
        if unknown or unpaired:
            events = self._known.measure_on_local_images(BASELINE)
            measured(self._progress, "Evaluating the baseline", events)
        for name in unpaired:
            subject = self._subjects[name]
            subject.reading = self._known.read(Point(subject.spec, self._recovery))
            self._draw_card(name)
        for name in unknown:
            subject = self._subjects[name]
            for event in self._known.measure(Point(subject.spec, self._recovery)):
                match event:
                    case Evaluation():
                        self._draw_card(name, event)
                    case Recovering():
                        doing = RECOVERIES[self._recovery.method].doing
                        show_progress(self._progress, f"{name}: {doing}", event)
                    case Reading():
                        subject.reading = event
                        self._draw_card(name)
            self._progress.empty()
        if unknown or unpaired:
            self._draw_words()
            self._draw_curves()
        if self._curves.asked_to_fill:
            self._fill_in()

    def _fill_in(self) -> None:
        """Measure the missing points of all curves; store and draw each one when it is done."""
        wanted = self._unknown_on_curves()
        for done, point in enumerate(wanted):
            for event in self._known.measure(point):
                if isinstance(event, Evaluation):
                    part = (done + event.seen / event.total) / len(wanted)
                    self._progress.progress(
                        min(part, 1.0),
                        f"Filling in the curves: {done + 1} of {len(wanted)} points "
                        "(moving any control stops it; finished points are kept)",
                    )
            self._draw_curves()
        self._progress.empty()

    def _cost_of_baseline(self) -> Cost:
        known = self._known.result(BASELINE)
        return known.cost if known else self._bench.cost(None)

    def _compressed(self) -> dict[str, tuple[PruningSpec | None, int | None]]:
        """Return each network's spec and its compressed size in bytes, None if not stored."""
        baseline = self._known.result(BASELINE)
        known: dict[str, tuple[PruningSpec | None, Result | None]] = {"Baseline": (None, baseline)}
        for name, each in self._subjects.items():
            known[name] = (each.spec, each.reading.result if each.reading else None)
        return {
            name: (spec, result.compressed_bytes if result else None)
            for name, (spec, result) in known.items()
        }

    def _draw_card(self, name: str, so_far: Evaluation | None = None) -> None:
        subject = self._subjects[name]
        method_card(
            self._cards[name],
            name,
            subject.spec,
            self._recovery,
            subject.cost,
            self._baseline_cost,
            subject.reading,
            so_far,
        )

    def _draw_words(self) -> None:
        sides = []
        for subject in self._subjects.values():
            reading = self._known.read(Point(subject.spec, self._recovery))
            if reading is None or reading.reference is None:
                continue
            evaluations = {
                recovery: found.evaluation
                for recovery in (NOTHING, RECALIBRATED, RECONSTRUCTED)
                if (found := self._known.glance(Point(subject.spec, recovery)))
                and can_be_paired(found, reading.result)
            }
            sides.append(
                Side(
                    METHODS[subject.spec.method].doing,
                    subject.spec.ratio,
                    evaluations.get(NOTHING),
                    {
                        recovery.method: evaluation
                        for recovery, evaluation in evaluations.items()
                        if recovery != NOTHING
                    },
                    reading.reference.evaluation,
                    self._bench.classes,
                )
            )
        # At ratio 0 both sides are the same network. Always draw two lines, so the chart stays put.
        lines = list(dict.fromkeys(describe([side]) for side in sides))
        lines += [""] * (len(GRANULARITIES) - len(lines))
        if is_set(BEST):
            lines.append(self._describe_held_out_accuracy() or "")
        show_sentences(lines, "comparison", self._words)

    def _describe_held_out_accuracy(self) -> str | None:
        """Describe the preset's accuracy on the images it was not chosen on, or return None."""
        chosen_on = self._known.on_subset(CHOICE_IMAGES, CHOICE_SEED)
        results = {n: each.reading.result for n, each in self._subjects.items() if each.reading}
        if len(results) < len(GRANULARITIES) or not can_be_paired(*results.values()):
            return None
        judged = {name: chosen_on.evaluate_outside_subset(each) for name, each in results.items()}
        evaluations = {name: each for name, each in judged.items() if each is not None}
        return describe_choice(CHOICE_IMAGES, evaluations) if evaluations else None

    def _draw_curves(self) -> None:
        places = {
            name: {"ratio": each.spec.ratio, **removed(each.cost, self._baseline_cost)}
            for name, each in self._subjects.items()
        }
        self._curves.draw(places)

    def _draw_table(self) -> None:
        costs = {"Baseline": self._baseline_cost}
        costs |= {name: subject.cost for name, subject in self._subjects.items()}
        known = {name: size for name, (_, size) in self._compressed().items() if size is not None}
        with self._table.container():
            cost_table(costs, known | self._measured_bytes)


def show_comparison(bench: Workbench) -> None:
    """Draw the page; return when everything at the current ratio is measured."""
    with st.container(gap="xsmall"):
        comparison = Comparison(bench)
        with st.container(key="aside_versus"):
            show_versus(bench)
        comparison.measure()
