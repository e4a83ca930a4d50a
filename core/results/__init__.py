"""The store of measured results, so that nothing is measured twice."""

from core.results.database import StoreError
from core.results.key import ALGORITHM, Key
from core.results.result import CurvePoint, Origin, Result, compact
from core.results.shipped import RESULTS_SUFFIX, export, files_of, read_shipped
from core.results.store import ResultStore, open_store

__all__ = [
    "ALGORITHM",
    "RESULTS_SUFFIX",
    "CurvePoint",
    "Key",
    "Origin",
    "Result",
    "ResultStore",
    "StoreError",
    "compact",
    "export",
    "files_of",
    "open_store",
    "read_shipped",
]
