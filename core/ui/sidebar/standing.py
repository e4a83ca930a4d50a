"""Set the sidebar to a pruning, as a click on a chart does."""

from collections.abc import Mapping

import streamlit as st

from core.pruning.matching import HIGHEST_RATIO
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.specs.vocabulary import METHODS
from core.ui.sidebar.settings import (
    CEILINGS,
    CHANNEL_ALLOCATIONS,
    CHANNEL_METHODS,
    CRITERION_OPTIONS,
    FLOORS,
    MULTIPLES,
    RECOVERY_OPTIONS,
    SCOPE_OPTIONS,
    WEIGHT_ALLOCATIONS,
    WEIGHT_CRITERIA,
)


def options_of(point: Point) -> dict[str, str | float] | None:
    """Return the value of each control that a point is about; None where the sidebar has no such.

    A network that was trained on stands at the recovery that it was trained from.
    """
    spec, recovery = point.spec, point.recovery
    named = recovery.start if recovery.trains else recovery.method
    wanted = [("recovery", RECOVERY_OPTIONS, named)]
    if METHODS[spec.method].prunes_weights:
        wanted += [("weights", WEIGHT_ALLOCATIONS, spec.allocation)]
        wanted += [("weight_criterion", WEIGHT_CRITERIA, spec.criterion)]
    else:
        wanted += [("channels", CHANNEL_METHODS, spec.method)]
        wanted += [("allocation", CHANNEL_ALLOCATIONS, spec.allocation)]
        wanted += [("scope", SCOPE_OPTIONS, spec.scope)]
        wanted += [("criterion", CRITERION_OPTIONS, spec.criterion)]
    limits: list[tuple[str, Mapping[str, float], float]] = [
        ("ceiling", CEILINGS, spec.ceiling),
        ("floor", FLOORS, spec.floor),
        ("multiple", MULTIPLES, spec.round_to),
    ]
    options: dict[str, str | float] = {"match": "ratio", "ratio": spec.ratio}
    if spec.rest_ratio:
        options["rest"] = spec.rest_ratio
    if spec.criterion == "random":
        options["seed"] = spec.seed
    for control, offered, value in (*wanted, *limits):
        found = [option for option, name in offered.items() if name == value]
        if not found:
            return None
        options[control] = found[0]
    is_usual = recovery.trains or recovery == Recovery.named(recovery.method)
    ratios = max(spec.ratio, spec.rest_ratio)
    if spec.overrides or not is_usual or ratios > HIGHEST_RATIO:
        return None
    if spec.rest_allocation != PruningSpec.rest_allocation:
        return None
    return options


def stand_at(point: Point) -> bool:
    """Set the sidebar's controls; return False where it has none for this point.

    As a callback it runs before they are drawn.
    """
    options = options_of(point)
    if options is None:
        return False
    for control, value in options.items():
        st.session_state[control] = value
    return True
