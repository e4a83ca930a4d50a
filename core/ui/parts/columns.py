"""The columns of charts that say what was measured."""

from core.results import Result


def result_columns(result: Result) -> dict[str, float]:
    """Return the columns of a chart's frame that say what was measured."""
    evaluation = result.evaluation
    low, high = evaluation.interval
    return {
        "accuracy": evaluation.accuracy,
        "low": low,
        "high": high,
        "correct": evaluation.correct,
        "seen": evaluation.seen,
    }
