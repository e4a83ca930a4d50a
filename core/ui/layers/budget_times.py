"""What a budget in time needs: the table of layers' times, and the result measured."""

from collections.abc import Mapping

from streamlit.delta_generator import DeltaGenerator

from core.device import best_device
from core.export.runtimes import RUNTIMES
from core.formatting import decimal
from core.results import Conditions, LatencyKey
from core.specs.pruning import PruningSpec
from core.studies.budget import LayerTimes
from core.studies.budget.kept import layer_times
from core.studies.latency import (
    conditions_here,
    measure_latency,
    precision_for,
    speedup_in_words,
    usual_threads,
)
from core.ui.bench.turns import evaluation_turn
from core.ui.bench.workbench import Workbench
from core.ui.parts.progress import followed


def conditions_of_budgets() -> Conditions:
    """Return the conditions of a budget in time: one image, in PyTorch, as evaluations run."""
    device, runtime = best_device(), RUNTIMES["pytorch"]
    precision = precision_for(runtime, "auto", device)
    return conditions_here(runtime, precision, 1, usual_threads(), device)


def times_of(bench: Workbench, progress: DeltaGenerator) -> LayerTimes:
    """Return the table of the baseline, measured now where it is not kept."""
    checkpoint, conditions = bench.checkpoint, conditions_of_budgets()
    with evaluation_turn(progress):
        steps = layer_times(checkpoint.network, checkpoint.fingerprint, conditions, best_device())
        found = followed(
            steps,
            lambda event: progress.progress(
                event.done / event.total,
                f"Timing each layer at several widths, once: {event.done} of {event.total}",
            ),
        )
    progress.empty()
    return found


def measured_in_words(
    bench: Workbench,
    contenders: Mapping[str, PruningSpec],
    times: LayerTimes,
    progress: DeltaGenerator,
) -> list[str]:
    """Measure each contender beside the baseline; say what was predicted and what came."""
    conditions, checkpoint = conditions_of_budgets(), bench.checkpoint
    lines = []
    for name, spec in contenders.items():
        network = bench.pruned(spec).network
        key = LatencyKey.of(
            checkpoint.fingerprint,
            checkpoint.signature.identity,
            spec,
            conditions,
            bench.known.evidence_of(spec),
        )
        with evaluation_turn(progress):
            steps = measure_latency(
                key, network, checkpoint.network, RUNTIMES["pytorch"], best_device()
            )
            speedup = followed(
                steps,
                lambda event, name=name: progress.progress(  # type: ignore[misc]
                    event.done / event.total, f"Timing {name} …"
                ),
            ).speedup
        predicted = times.predict(network)
        lines.append(
            f"{name}: predicted {decimal(1e3 * predicted, 2)} ms, "
            f"{decimal(times.whole / predicted, 2)} times as fast; measured "
            f"{decimal(1e3 * speedup.seconds, 2)} ms, {speedup_in_words(speedup)}."
        )
    progress.empty()
    return lines
