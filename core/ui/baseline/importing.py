"""Importing a network that other code trained, from an upload or from a path on this machine."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.baselines.importing import LONGEST_NAME, Imported, ImportRequest, import_baseline
from core.baselines.trying import Tried, Trying
from core.data.dataset import DataSet
from core.data.normalisation import KNOWN, Normalisation
from core.errors import InputError
from core.formatting import percent
from core.measuring.statistics import wilson_interval
from core.ui.bench.turns import yield_to_evaluations
from core.ui.parts.networks import choose_architecture
from core.ui.parts.plain import plain, warn

FIND, GIVE = "find the best", "own numbers"
UPLOAD_MB = 200


def import_form(dataset: DataSet) -> Imported | None:
    """Draw the form; import the file that was given, and return the new baseline."""
    st.caption(
        "A file that torch.save or safetensors wrote, with the network's state_dict. It is read "
        "without executing anything in it. The network and its normalisation are found where you "
        "leave them open, on training images."
    )
    with st.form("import", border=False):
        uploaded = st.file_uploader(
            "File", max_upload_size=UPLOAD_MB, key="import_upload", label_visibility="collapsed"
        )
        left, right = st.columns([3, 2])
        path = left.text_input(
            "Or a path on the machine that serves this app", key="import_path"
        ).strip()
        name = right.text_input(
            "Name of the baseline", placeholder="from the file", key="import_name"
        )
        left, middle, right = st.columns([3, 3, 2], vertical_alignment="bottom")
        architecture = choose_architecture(left, "import_network", "recognise it")
        normalised = middle.selectbox(
            "Images were normalised by",
            [FIND, *KNOWN, GIVE],
            help="Mean and standard deviation of each colour, subtracted and divided by before the "
            "network. If you don't know: every known one is tried on 1,000 training images.",
            key="import_normalisation",
        )
        pressed = right.form_submit_button(
            "Import", type="primary", icon=":material/upload_file:", width="stretch"
        )
        numbers = st.text_input(
            "Own numbers: the means of red, green, blue, then the standard deviations, for pixels "
            "from 0 to 1",
            placeholder="0.491 0.482 0.447 0.247 0.243 0.262",
            key="import_numbers",
        )
    if not pressed:
        return None
    try:
        with _file(uploaded, path) as file:
            request = ImportRequest(
                file,
                dataset,
                architecture,
                _normalisation(normalised, numbers),
                name.strip() or None,
            )
            return _run(request)
    except InputError as error:
        warn(error)
        return None


def _run(request: ImportRequest) -> Imported:
    bar, waiting = st.progress(0.0, "Reading the file …"), st.empty()
    found: Imported | None = None
    try:
        for event in yield_to_evaluations(import_baseline(request), waiting):
            match event:
                case Trying(what=what, done=done, total=total):
                    bar.progress(done / total, f"{what.capitalize()} tried: {done} of {total}")
                case Imported():
                    found = event
    finally:
        bar.empty()
    assert found is not None
    return found


@contextmanager
def _file(uploaded: UploadedFile | None, path: str) -> Iterator[Path]:
    """Give the path of the chosen file; an upload is one only within the block."""
    if uploaded is None and not path:
        raise InputError("Choose a file, or name a path on the machine that serves this app.")
    if uploaded is None:
        yield _on_this_machine(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / re.sub(r"[^\w .()-]|^\.", "_", uploaded.name)[-LONGEST_NAME:]
        copy.write_bytes(uploaded.getbuffer())
        yield copy


def _on_this_machine(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"There is nobody called {path.split('/')[0]}: check the path.") from error


def _normalisation(chosen: str, numbers: str) -> Normalisation | None:
    if chosen == FIND:
        return None
    if chosen != GIVE:
        return KNOWN[chosen]
    try:
        given = [float(each) for each in numbers.replace(",", " ").split()]
    except ValueError:
        given = []
    if len(given) != 6:
        raise InputError(
            f"{numbers!r} should be six numbers: three means, three standard deviations."
        )
    return Normalisation.of(given[:3], given[3:])


def show_import(found: Imported) -> None:
    """Say what was done to the file, and what each normalisation gave."""
    for note in found.notes:
        st.caption(plain(note))
    if found.tried:
        st.dataframe(normalisation_frame(found.tried), hide_index=True)
        st.caption(describe_choice(found.tried))


def normalisation_frame(tried: tuple[Tried, ...]) -> pd.DataFrame:
    """Return a row for each normalisation, the best first."""
    rows = []
    for each in sorted(tried, key=lambda each: (not each.is_best, -each.correct)):
        low, high = wilson_interval(each.correct, each.seen)
        rows.append(
            {
                "Normalisation": each.name,
                "Mean": ", ".join(f"{value:.4g}" for value in each.normalisation.mean),
                "Standard deviation": ", ".join(f"{value:.4g}" for value in each.normalisation.std),
                "Training images right": f"{each.correct:,} of {each.seen:,}",
                "95% interval": f"{percent(low)} to {percent(high)}",
            }
        )
    return pd.DataFrame(rows)


def describe_choice(tried: tuple[Tried, ...]) -> str:
    """Say which normalisation was taken, and which ones cannot be told apart from it."""
    best = next(each.name for each in tried if each.is_best)
    equal = [each.name for each in tried if not each.is_best and not each.can_be_told_apart]
    if not equal:
        return f"Taken: {best}. Each of the others is right about fewer of these images."
    return (
        f"Taken: {best}. Not told apart from it on these images: {'; '.join(equal)}. If you know "
        "which one the network was trained with, name it."
    )
