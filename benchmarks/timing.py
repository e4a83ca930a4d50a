"""Time the sides of a comparison alternately, and measure the machine's matrix products."""

import gc
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import torch

Side = Callable[[int], Any]
"""Does the work once. Takes the round: 0 is the warm-up, 1 to `repeats` are timed."""

PRODUCT_SIZES = (1024, 2048, 4096)
PRODUCT_OPERATIONS = 3e11
"""Approximate floating-point operations in one timing of matrix products."""


def alternate(
    sides: Mapping[str, Side],
    repeats: int,
    before: Callable[[], object] | None = None,
    check: Callable[[dict[str, Any]], object] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Time the sides alternately (A B A B), so that a slow phase of the machine affects all.

    Return the seconds of each side, without the warm-up round, without `before`, which is called
    before every side, and without `check`, which is called with each round's results by side.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(repeats + 1):
        results = {}
        for name, side in sides.items():
            if before is not None:
                before()
            gc.collect()  # so that the garbage of one side is not collected during the other
            started = clock()
            results[name] = side(number)
            _finish()
            elapsed = clock() - started
            if number > 0:
                seconds[name].append(elapsed)
        if check is not None:
            check(results)
    return seconds


def speedup(seconds: Mapping[str, list[float]], side: str, other: str) -> float:
    """Return how many times as fast as `other` the `side` is, from their medians."""
    return median(seconds[other]) / median(seconds[side])


def matrix_products(dtype: torch.dtype, device: torch.device) -> dict[str, Side]:
    """Return sides that multiply square matrices of several sizes, for `product_rate`."""
    return {_product_name(size): _multiplier(size, dtype, device) for size in PRODUCT_SIZES}


def product_rate(seconds: Mapping[str, list[float]]) -> float:
    """Return the operations per second of the fastest matrix size, the machine's practical peak."""
    return max(
        _products_at_once(size) * 2 * size**3 / median(seconds[_product_name(size)])
        for size in PRODUCT_SIZES
    )


def _multiplier(size: int, dtype: torch.dtype, device: torch.device) -> Side:
    left = torch.randn(size, size, device=device).to(dtype)
    right = torch.randn(size, size, device=device).to(dtype)
    product = torch.empty_like(left)  # don't time its allocation

    def multiply(_: int) -> None:
        for _ in range(_products_at_once(size)):
            torch.mm(left, right, out=product)

    return multiply


def _product_name(size: int) -> str:
    return f"matrix product {size}"


def _products_at_once(size: int) -> int:
    return max(1, round(PRODUCT_OPERATIONS / (2 * size**3)))


def _finish() -> None:
    """Wait for pending work on an accelerator."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
