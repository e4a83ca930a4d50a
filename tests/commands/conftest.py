"""Commands run in this process, each with a folder of its own for checkpoints."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from core import paths
from core.__main__ import main
from core.specs.vocabulary import RECOVERIES


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """The last line of what was printed, with --json."""
        assert self.code == 0, self.err
        result = json.loads(self.out.splitlines()[-1])
        assert isinstance(result, dict)
        return result


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs a command with a folder of its own for checkpoints; recovery takes few images."""
    monkeypatch.setattr(paths, "CHECKPOINTS", tmp_path / "checkpoints")
    monkeypatch.setitem(RECOVERIES, "bn", replace(RECOVERIES["bn"], images=60))

    def run_it(*arguments: object) -> Outcome:
        try:
            code: Any = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = ended.code
        printed = capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    return run_it


def assert_refused(outcome: Outcome, *words: str) -> None:
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert outcome.err.endswith(".\n"), outcome.err
    assert not outcome.err.startswith(("usage", "Traceback"))
    for word in words:
        assert word in outcome.err
