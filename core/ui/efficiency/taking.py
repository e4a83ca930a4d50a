"""The view Take away: a network as files that work elsewhere, with a card."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import paths
from core.baselines.naming import class_names
from core.errors import InputError
from core.export.bundle import Bundle, export
from core.export.card import Origin, card_text, run_card
from core.export.extras import missing
from core.export.names import suggested_name
from core.export.subject import Subject
from core.export.vocabulary import FORMATS
from core.measuring.cost import cost
from core.networks.checkpoint import Checkpoint
from core.networks.network import Network
from core.recovery.recover import recover_without_images
from core.results import Result
from core.specs.point import Point
from core.specs.vocabulary import ALL_RECOVERIES, METHODS
from core.specs.written import text_of
from core.studies.ladder import rungs
from core.studies.latency import speedup_in_words
from core.studies.taking import (
    accuracy_in_metadata,
    accuracy_of,
    description,
    files_of,
    images_to_check,
    notes,
    pruned_metadata,
    versions,
    with_cards,
)
from core.sweeps.known import BASELINE
from core.sweeps.measurer import needs_images
from core.sweeps.tuned import tuned_file
from core.ui.bench.turns import evaluation_turn
from core.ui.bench.workbench import Workbench
from core.ui.efficiency.conditions import in_words, load_latencies
from core.ui.efficiency.timing import key_of
from core.ui.parts.plain import plain, warn
from core.ui.parts.progress import followed, measured
from core.ui.recovery.ladder import training_images

MADE = "made_export"
UNPRUNED = "Unpruned"
MIME_TYPES = {".json": "application/json", ".md": "text/markdown", ".py": "text/x-python"}


@dataclass(frozen=True, eq=False)
class Made:
    """What was made, and what it was made of."""

    asked: tuple[Any, ...]
    name: str
    bundle: Bundle  # with the cards
    card: str  # Markdown


def show_exports(bench: Workbench) -> None:
    """Draw what can be taken, make it when asked, and offer it as downloads."""
    networks = {**_untrained(bench), **_trained(bench)}
    which, formats, inside = st.columns([4, 5, 3], vertical_alignment="bottom")
    chosen = which.selectbox("Network", list(networks), key="taken", bind="query-params")
    there = [name for name, each in FORMATS.items() if not missing(each.packages)]
    picked = formats.multiselect(
        "Formats",
        [FORMATS[name].label for name in there],
        default=[FORMATS["onnx" if "onnx" in there else "safetensors"].label],
        key="formats",
        help="  \n".join(f"**{each.label}**: {each.sentence}" for each in FORMATS.values()),
    )
    normalise = inside.toggle(
        "Normalise inside",
        key="normalise",
        help="The exported network then takes pixels from 0 to 1 instead of normalised ones.",
    )
    if lacking := [each for name, each in FORMATS.items() if name not in there]:
        st.caption(f"{lacking[0].label}: {missing(lacking[0].packages)}")
    names = [name for name in there if FORMATS[name].label in picked]
    point = networks[str(chosen)]
    asked = (bench.file, point, tuple(names), normalise)
    pressed = st.button(
        "Make the files", type="primary", icon=":material/package_2:", disabled=not names
    )
    slot = st.empty()
    if pressed:
        try:
            st.session_state[MADE] = _make(bench, point, names, normalise, asked, slot)
        except InputError as error:
            warn(error)
        slot.empty()
    made: Made | None = st.session_state.get(MADE)
    if made is None or made.asked != asked:
        st.caption(
            f"{plain(_in_words(point))} Every file is read again and run on test images, and must "
            "give the same answers as the network here; else nothing is offered."
        )
        return
    _offer(made)


def _untrained(bench: Workbench) -> dict[str, Point]:
    """Return the networks of the sidebar's settings by name."""
    recovery = bench.settings.recovery
    named = {
        name: Point(spec, recovery)
        for name, spec in reversed(bench.specs().items())  # what gets smaller first
        if not spec.is_identity
    }
    return named | {UNPRUNED: BASELINE}


def _in_words(point: Point) -> str:
    """Say what the chosen network is."""
    spec, after = point.spec, ALL_RECOVERIES[point.recovery.method]
    if point == BASELINE:
        return "The baseline itself."
    return f"{METHODS[spec.method].label}, ratio {spec.ratio:.2f}, {after.phrase}."


def _trained(bench: Workbench) -> dict[str, Point]:
    """Return the networks that were fine-tuned here at the slider's ratio, by name."""
    if bench.known.images is None:
        return {}
    evidence = bench.known.measurer().evidence
    found = {}
    for name, spec in bench.specs().items():
        for rung in rungs(training_images(bench)):
            point = Point(spec, rung.recovery)
            if not rung.recovery.trains or spec.is_identity or needs_images(spec):
                continue
            if tuned_file(point, bench.checkpoint, evidence).exists():
                found[f"{name}, trained {rung.way} on {rung.images:,} images"] = point
    return found


def _make(
    bench: Workbench,
    point: Point,
    formats: Sequence[str],
    normalise: bool,
    asked: tuple[Any, ...],
    slot: DeltaGenerator,
) -> Made:
    """Make the network and its files. Raises InputError where that cannot be."""
    source, known = bench.checkpoint, bench.known
    result = _result(bench, point, slot)
    reference = None if result is None or point == BASELINE else known.reference(result)
    with evaluation_turn(slot):
        network = _recovered(bench, point, slot)
        accuracy = None if result is None else accuracy_of(result, source.dataset)
        metadata = source.metadata
        if point != BASELINE:
            metadata = pruned_metadata(point, source, accuracy_in_metadata(accuracy))
        subject = Subject(
            network,
            description(source, point),
            source.dataset,
            class_names(source),
            metadata,
            *images_to_check(known.images),
            normalise=normalise,
        )
        setting = "" if point == BASELINE else text_of(point).replace("recovery=", "")
        name = suggested_name(source.path.stem, setting)
        bundle = followed(
            export(subject, formats, name),
            lambda event: slot.progress(
                event.done / event.total,
                f"{FORMATS[event.format].label}: writing, reading and running …",
            ),
        )
    card = run_card(
        Origin(
            str(network.architecture), source.dataset, source.path.name, source.fingerprint, point
        ),
        accuracy,
        None if reference is None else accuracy_of(reference, source.dataset),
        cost(network).to_json(),
        cost(source.network).to_json(),
        files_of(bundle),
        bundle.checks,
        versions(formats),
        datetime.now(UTC).isoformat(timespec="seconds"),
        _command(point, source, formats, normalise),
        latency=_latency(bench, point),
        notes=notes(subject, formats, name),
    )
    return Made(asked, name, with_cards(bundle, card, name), card_text(card))


def _result(bench: Workbench, point: Point, slot: DeltaGenerator) -> Result | None:
    """Return the accuracy of the very network that is exported, or None.

    What is fitted to images on this machine differs a little from what was fitted elsewhere, so
    that a shipped result would be another network's.
    """
    if not point.recovery.needs_images:
        return bench.known.result(point)
    events = bench.known.measure_on_local_images(point, lambda result: not result.origin.file)
    return measured(slot, "Evaluating", events).result


def _command(point: Point, source: Checkpoint, formats: Sequence[str], normalise: bool) -> str:
    """Return the command that makes the same files."""
    inside = ("--normalise",) if normalise else ()
    file = paths.shown(source.path)
    asked = ("export", text_of(point), "--baseline", file, "--format", *formats)
    return shlex.join(["python", "-m", "core", *asked, *inside, "--out", "exported"])


def _recovered(bench: Workbench, point: Point, slot: DeltaGenerator) -> Network:
    """Prune and recover the network, with progress where that takes images."""
    if not point.recovery.needs_images:
        pruned = bench.pruned(point.spec)
        return recover_without_images(pruned, point.recovery, bench.checkpoint.network)
    return followed(
        bench.known.measurer().network(point),
        lambda event: slot.progress(min(event.done / event.total, 1.0), "Recovering …"),
    )


def _latency(bench: Workbench, point: Point) -> Mapping[str, Any] | None:
    """Return the latencies of a pruning, in words by conditions, if it was timed."""
    if point == BASELINE:
        return None
    found = {}
    for each in load_latencies().of(bench.checkpoint.fingerprint):
        conditions = each.key.conditions
        if each.key == key_of(bench, point.spec, conditions):
            found[f"{in_words(conditions)} · {conditions.versions}"] = (
                f"{speedup_in_words(each.speedup)}, {1e3 * each.speedup.seconds:.2f} ms"
            )
    return found or None


def _offer(made: Made) -> None:
    checks = [f"{FORMATS[name].label}: {said}" for name, said in made.bundle.checks.items()]
    st.success("  \n".join(map(plain, checks)), icon=":material/verified:")
    with st.container(horizontal=True):
        st.download_button(
            f"{made.name}.zip",
            made.bundle.zipped,
            f"{made.name}.zip",
            "application/zip",
            type="primary",
            icon=":material/folder_zip:",
            on_click="ignore",
        )
        for name, content in made.bundle.files.items():
            suffix = name[name.rindex(".") :]
            st.download_button(
                f"{name}, {len(content) / 1e6:.2f} MB" if len(content) > 1e5 else name,
                content,
                name,
                MIME_TYPES.get(suffix, "application/octet-stream"),
                on_click="ignore",
            )
    with st.expander("The card"):
        st.code(made.card, language=None, wrap_lines=True)
