"""The store of measured results, so that nothing is measured twice."""

from core.results.database import StoreError
from core.results.key import ALGORITHM, Key
from core.results.latencies import (
    LATENCY_SUFFIX,
    Conditions,
    Latency,
    LatencyKey,
    LatencyStore,
    export_latencies,
    open_latencies,
    read_latencies,
)
from core.results.result import CurvePoint, Origin, Outcome, Result, compact
from core.results.shipped import RESULTS_SUFFIX, export, files_of, read_shipped
from core.results.store import ResultStore, open_store

__all__ = [
    "ALGORITHM",
    "LATENCY_SUFFIX",
    "RESULTS_SUFFIX",
    "Conditions",
    "CurvePoint",
    "Key",
    "Latency",
    "LatencyKey",
    "LatencyStore",
    "Origin",
    "Outcome",
    "Result",
    "ResultStore",
    "StoreError",
    "compact",
    "export",
    "export_latencies",
    "files_of",
    "open_latencies",
    "open_store",
    "read_latencies",
    "read_shipped",
]
