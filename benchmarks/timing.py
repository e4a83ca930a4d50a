"""Sides of a comparison timed in turn, and matrix products as the measure of a machine."""

import gc
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import torch

Side = Callable[[int], Any]
"""Does the work once. It is given the round's number: 0 is the warm-up, 1 to repeats are timed."""

PRODUCT_SIZES = (1024, 2048, 4096)
PRODUCT_OPERATIONS = 3e11
"""Floating-point operations of one timing of matrix products, at least one product."""


def alternate(
    sides: Mapping[str, Side],
    repeats: int,
    before: Callable[[], object] | None = None,
    check: Callable[[dict[str, Any]], object] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Time the sides in turn, A B A B, so that a machine that slows down slows them all.

    Returns the seconds of each side. Neither the warm-up round nor `before`, which is called ahead
    of every side, nor `check`, which is called with each round's results by side, is in them.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(repeats + 1):
        results = {}
        for name, side in sides.items():
            if before is not None:
                before()
            gc.collect()  # what one side leaves behind is not cleared away in the other's time
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
    """How often `side` is done in the time that `other` takes."""
    return median(seconds[other]) / median(seconds[side])


def matrix_products(dtype: torch.dtype, device: torch.device) -> dict[str, Side]:
    """Sides that multiply square matrices of several sizes, for `product_rate`."""
    return {_product_name(size): _multiplier(size, dtype, device) for size in PRODUCT_SIZES}


def product_rate(seconds: Mapping[str, list[float]]) -> float:
    """Operations a second of the size that suits the machine best: what it can do at most."""
    return max(
        _products_at_once(size) * 2 * size**3 / median(seconds[_product_name(size)])
        for size in PRODUCT_SIZES
    )


def _multiplier(size: int, dtype: torch.dtype, device: torch.device) -> Side:
    left = torch.randn(size, size, device=device).to(dtype)
    right = torch.randn(size, size, device=device).to(dtype)
    product = torch.empty_like(left)  # allocating it each time would be timed too

    def multiply(_: int) -> None:
        for _ in range(_products_at_once(size)):
            torch.mm(left, right, out=product)

    return multiply


def _product_name(size: int) -> str:
    return f"matrix product {size}"


def _products_at_once(size: int) -> int:
    return max(1, round(PRODUCT_OPERATIONS / (2 * size**3)))


def _finish() -> None:
    """Wait for what is still running on an accelerator."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
