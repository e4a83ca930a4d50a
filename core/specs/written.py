"""A pruning and its recovery as a text, such as `channel 0.5 scope=internal recovery=bn`."""

import re
from dataclasses import fields, replace
from typing import Any

from core.errors import InputError
from core.specs.point import UNPRUNED, Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import NOTHING, Recovery

UNPRUNED_TEXT = "unpruned"
KINDS = {"str": str, "int": int, "float": float, str: str, int: int, float: float}
OF_SPEC = {
    field.name: KINDS[field.type]
    for field in fields(PruningSpec)
    if field.name not in ("method", "ratio") and field.type in KINDS
}
OF_RECOVERY = {f.name: KINDS[f.type] for f in fields(Recovery) if f.name not in ("method", "seed")}


def point_of(text: str) -> Point:
    """Parse a point: `unpruned`, or a method, a ratio, and NAME=VALUE for all that is not usual.

    The names are those of `PruningSpec`, `recovery`, and those of `Recovery` without its seed.
    Raises InputError for what cannot be.
    """
    if text.strip() == UNPRUNED_TEXT:
        return Point(UNPRUNED, NOTHING)
    method, ratio, *settings = text.split() if len(text.split()) > 1 else (text, "")
    if not re.fullmatch(r"[0-9]*[.]?[0-9]+", ratio):
        raise InputError(
            f"{text!r} names neither a checkpoint nor a setting: write {UNPRUNED_TEXT}, or a "
            "method and a ratio, such as 'channel 0.5 recovery=bn'."
        )
    values: dict[str, Any] = {}
    for setting in settings:
        name, separator, value = setting.partition("=")
        kind = str if name == "recovery" else (OF_SPEC | OF_RECOVERY).get(name)
        if not separator or kind is None:
            raise InputError(
                f"{setting!r} is no setting: write NAME=VALUE, where NAME is recovery, "
                f"{', '.join([*OF_SPEC, *OF_RECOVERY])}."
            )
        try:
            values[name] = kind(value)
        except ValueError as error:
            raise InputError(f"{name} should be a number, not {value!r}.") from error
    recovery = Recovery.named(values.pop("recovery", NOTHING.method))
    of_recovery = {name: values.pop(name) for name in OF_RECOVERY if name in values}
    if of_recovery and not recovery.needs_images:
        raise InputError(f"{next(iter(of_recovery))} is a setting of a recovery: add recovery=….")
    spec = PruningSpec(method, float(ratio), **values).canonical()
    return Point(UNPRUNED if spec.is_identity else spec, replace(recovery, **of_recovery))


def text_of(point: Point) -> str:
    """Write a point so that `point_of` reads it, with the settings that are not usual.

    Overrides and the recovery's seed have no text, and are left out.
    """
    spec, recovery = point.spec.canonical(), point.recovery
    if spec.is_identity and recovery == NOTHING:
        return UNPRUNED_TEXT
    usual = PruningSpec(spec.method, spec.ratio)
    parts = [spec.method, f"{spec.ratio:g}"]
    parts += [
        f"{name}={getattr(spec, name)}"
        for name in OF_SPEC
        if getattr(spec, name) != getattr(usual, name)
    ]
    if recovery != NOTHING:
        named = Recovery.named(recovery.method)
        parts.append(f"recovery={recovery.method}")
        parts += [
            f"{name}={getattr(recovery, name)}"
            for name in OF_RECOVERY
            if getattr(recovery, name) != getattr(named, name)
        ]
    return " ".join(parts)
