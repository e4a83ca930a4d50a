"""Live evaluation: one at a time, cancelled by the next interaction, kept for all viewers."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from core.cost import Cost
from core.data import DataSet, subset_indices
from core.device import best_device, resolve_precision
from core.evaluation import Evaluation, evaluate
from core.pruning import PruningSpec
from core.ui.resources import FileVersion, load_cost, load_pruned

KEPT = 2048
SECONDS_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True, eq=False)
class Measured:
    """One network on one subset: what is known of its accuracy so far, and what it costs."""

    evaluation: Evaluation
    cost: Cost


@dataclass(frozen=True)
class _Key:
    fingerprint: str  # of the checkpoint's tensors
    spec: PruningSpec | None
    data: str
    subset: int
    seed: int
    precision: str


class _Kept:
    """A small cache of finished measurements that sessions share; the oldest go first."""

    def __init__(self, size: int):
        self._size = size
        self._lock = threading.Lock()
        self._entries: OrderedDict[_Key, Measured] = OrderedDict()

    def get(self, key: _Key) -> Measured | None:
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: _Key, measured: Measured) -> None:
        with self._lock:
            self._entries[key] = measured
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)


@st.cache_resource
def _kept() -> _Kept:
    return _Kept(KEPT)


@st.cache_resource
def _turn() -> threading.Semaphore:
    return threading.Semaphore(1)


@contextmanager
def _my_turn() -> Iterator[None]:
    """Wait until no other session evaluates; moving a control while waiting gives up the place."""
    turn = _turn()
    if not turn.acquire(blocking=False):
        notice = st.empty()
        while not turn.acquire(timeout=SECONDS_BETWEEN_LOOKS):
            notice.caption(":material/hourglass_top: Waiting for another viewer's evaluation …")
        notice.empty()
    try:
        yield
    finally:
        turn.release()


class Measurements:
    """Evaluations of one baseline and its prunings on one subset of the test images."""

    def __init__(
        self, file: FileVersion, fingerprint: str, dataset: DataSet, subset: int, seed: int
    ):
        self._file = file
        self._dataset = dataset
        self.size = min(subset, len(dataset.test_labels))
        whole = self.size == len(dataset.test_labels)
        self._seed = 0 if whole else seed  # all the images are the same images for every seed
        self._precision = resolve_precision("auto", best_device())
        self._fingerprint = fingerprint

    def known(self, spec: PruningSpec | None) -> Measured | None:
        """The finished measurement, if there is one. None stands for the baseline."""
        return _kept().get(self._key(spec))

    def measure(self, spec: PruningSpec | None) -> Iterator[Measured]:
        """Yield ever more certain measurements, the last one complete; a known one at once."""
        if known := self.known(spec):
            yield known
            return
        spec = _identity_is_none(spec)
        cost = load_cost(self._file, spec)
        model = load_pruned(self._file, spec).model
        chosen = subset_indices(self._dataset.test_labels, self.size, self._seed)
        images, labels = self._dataset.test_images[chosen], self._dataset.test_labels[chosen]
        with _my_turn():
            if known := self.known(spec):  # measured by another viewer meanwhile
                yield known
                return
            for evaluation in evaluate(model, images, labels, self._precision):
                measured = Measured(evaluation, cost)
                if evaluation.is_complete:
                    _kept().put(self._key(spec), measured)
                yield measured

    def _key(self, spec: PruningSpec | None) -> _Key:
        return _Key(
            self._fingerprint,
            _identity_is_none(spec),
            self._dataset.fingerprint,
            self.size,
            self._seed,
            self._precision,
        )


def _identity_is_none(spec: PruningSpec | None) -> PruningSpec | None:
    return None if spec is None or spec.ratio == 0 else spec


def as_point(
    method: str, ratio: float, measured: Measured, baseline: Cost
) -> dict[str, float | int | str]:
    """A row of the frame that `charts.accuracy_curve` draws."""
    low, high = measured.evaluation.interval
    return {
        "method": method,
        "ratio": ratio,
        "parameters_removed": 1 - measured.cost.nonzero / baseline.nonzero,
        "macs_removed": 1 - measured.cost.macs / baseline.macs,
        "accuracy": measured.evaluation.accuracy,
        "low": low,
        "high": high,
        "correct": measured.evaluation.correct,
        "seen": measured.evaluation.seen,
    }


def as_points(rows: list[dict[str, float | int | str]]) -> pd.DataFrame:
    """The frame, with its columns even where nothing was measured yet."""
    columns = [
        "method",
        "ratio",
        "parameters_removed",
        "macs_removed",
        "accuracy",
        "low",
        "high",
        "correct",
        "seen",
    ]
    return pd.DataFrame(rows, columns=columns)
