"""The sidebar's settings in words, and the name of a file that they belong to."""

import re
import shlex
import unicodedata
from collections.abc import Sequence

from core.paths import shown
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import (
    ALLOCATIONS,
    CRITERIA,
    GRANULARITIES,
    METHODS,
    RECOVERIES,
    SCOPES,
    data_set_name,
)
from core.specs.written import UNPRUNED_TEXT, text_of
from core.ui.sidebar.settings import Settings, baseline_name

LONGEST_PART = 50  # characters of a file's name
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.]+")


def settings_in_words(settings: Settings) -> dict[str, str]:
    """Describe the settings, by what they are of."""
    amount = "Pruning ratio" if settings.match == "ratio" else "Parameters removed, either method"
    return {
        "Baseline": _baseline(settings),
        "Data set": data_set_name(settings.dataset).title,
        "Test images asked for": f"{settings.subset:,}, seed {settings.seed}",
        amount: f"{settings.ratio:.2f}",
        **{name: _pruning(settings.spec(name, settings.ratio)) for name in GRANULARITIES},
        "After pruning": RECOVERIES[settings.recovery.method].label,
        **commands_of(settings),
    }


def commands_of(settings: Settings) -> dict[str, str]:
    """Return the command that measures each method again, beside the unpruned network.

    There is none where the ratios are those that leave as many parameters.
    """
    if settings.match != "ratio" or settings.baseline is None:
        return {}
    images = ("--subset", str(settings.subset), "--seed", str(settings.seed))
    given = ("--dataset", settings.dataset, "--baseline", shown(settings.baseline), *images)
    return {
        f"Again, {name}": shlex.join(
            ["python", "-m", "core", "compare", UNPRUNED_TEXT, text_of(point), *given]
        )
        for name in GRANULARITIES
        if not (point := settings.point(name, settings.ratio)).spec.is_identity
    }


def _baseline(settings: Settings) -> str:
    if settings.baseline is None:
        return "none"
    return baseline_name(settings.baseline, settings.dataset)


def _pruning(spec: PruningSpec) -> str:
    method = METHODS[spec.method]
    parts = [method.short, f"criterion {CRITERIA[spec.criterion].label}"]
    if method.has_allocations:
        parts.append(f"allocation {ALLOCATIONS[spec.allocation].label}")
    if method.prunes_groups:
        parts.append(f"groups: {SCOPES[spec.scope].label}")
    if spec.rest_ratio:
        parts.append(f"then {spec.rest_ratio:.2f} of the weights left")
    if spec.ceiling < 1:
        parts.append(f"none loses more than {spec.ceiling:.0%}")
    if spec.floor:
        parts.append(f"each loses at least {spec.floor:.0%} of the ratio")
    if spec.round_to > 1:
        parts.append(f"channels left: a multiple of {spec.round_to}")
    return ", ".join(parts)


def file_name(view: Sequence[str], settings: Settings) -> str:
    """Return the name of a report's file, which every file system takes.

    `view` is the title of the page, and of its open tab if it has tabs.
    """
    recovery = RECOVERIES[settings.recovery.method].label
    said = ("pruning", *view, _baseline(settings), f"{settings.ratio:.2f}", recovery)
    return "-".join(filter(None, map(_safe, said))) + ".html"


def _safe(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return NOT_IN_NAMES.sub("-", letters)[:LONGEST_PART].strip("-.").lower()
