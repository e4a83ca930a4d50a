"""Fixtures of the tests of exports."""

import pytest

from core.export import tracing


@pytest.fixture
def traced_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the tests that run alone a process for each file; see test_tracing.py."""
    monkeypatch.setattr(tracing, "exported_elsewhere", tracing.exported)
