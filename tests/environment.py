"""What a test needs of the machine that it runs on."""

import os
from typing import NoReturn

import pytest
import torch

from core.device import has_native_bf16

needs_native_bf16 = pytest.mark.skipif(
    not has_native_bf16(torch.device("cpu")), reason="bf16 is emulated here, which takes long"
)
"""For the cases in bf16 beside one that runs everywhere."""


def needed_in_ci(reason: str) -> NoReturn:
    """Skip the test, but fail it in CI, which has all that tests need."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
