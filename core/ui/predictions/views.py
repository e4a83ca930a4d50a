"""The page Predictions: what flipped between two networks, and who paid."""

from core import charts
from core.baselines.naming import class_names
from core.formatting import capitalised, percent
from core.measuring.flips import DIRECTIONS, Flips, spread
from core.studies.paying import classes_in_words, flips_in_words
from core.ui.bench.workbench import Workbench
from core.ui.parts.chart import show_chart
from core.ui.parts.sentences import accuracy_in_words
from core.ui.parts.tabs import show_tabs
from core.ui.parts.texts import show_sentences
from core.ui.predictions.calibration import show_calibration
from core.ui.predictions.classes import show_classes
from core.ui.predictions.confusion import show_confusions
from core.ui.predictions.hard import show_hard
from core.ui.predictions.images import show_images
from core.ui.predictions.sides import Pair, choose_sides, paired


def show_predictions(bench: Workbench) -> None:
    """Draw what is compared, what flipped in all, and the tabs; only the open one is computed."""
    pair = paired(*choose_sides(bench))
    if pair is None:
        return
    was, now = pair.was.evaluation, pair.now.evaluation
    flips = Flips(was.predictions, now.predictions, was.labels)
    names = class_names(bench.checkpoint)
    changes = sorted(flips.classes(len(names)), key=lambda each: each.change)
    _show_words(pair, flips, classes_in_words(changes, spread(tuple(changes)), names))
    show_tabs(
        "predictions",
        {
            "Classes": lambda: show_classes(changes, names),
            "Confusions": lambda: show_confusions(flips, names),
            "Images": lambda: show_images(bench, pair, flips, names),
            "Hard images": lambda: show_hard(bench, names),
            "Calibration": lambda: show_calibration(pair),
        },
    )


def _show_words(pair: Pair, flips: Flips, on_classes: str) -> None:
    counts = {name: int(flips.which(name).sum()) for name in DIRECTIONS}
    lines = [
        f"{capitalised(pair.before.name)}: {accuracy_in_words(pair.was.evaluation)}. "
        f"{capitalised(pair.after.name)}: {accuracy_in_words(pair.now.evaluation)}, on the same "
        f"{len(flips.labels):,} test images.",
        f"{capitalised(flips_in_words(flips.test))}. Both give the same answer to "
        f"{percent(flips.agreement)} of the images.",
        on_classes,
    ]
    show_sentences(lines, "flips")
    show_chart(
        charts.flow(counts),
        "flow",
        alt=f"Of {len(flips.labels):,} images, "
        + ", ".join(f"{count:,} {name}" for name, count in counts.items())
        + ".",
    )
