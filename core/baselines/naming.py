"""The names of a baseline's classes, with or without its images."""

from core.data.cifar import BOTH
from core.networks.checkpoint import Checkpoint


def class_names(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return the names of all classes: of its data set or its file, else their numbers."""
    if checkpoint.dataset in BOTH:
        return BOTH[checkpoint.dataset].class_names
    classes = checkpoint.signature.classes
    recorded = checkpoint.metadata.get("class_names")
    if isinstance(recorded, list) and len(recorded) == classes:
        return tuple(str(name) for name in recorded)
    return tuple(str(number) for number in range(classes))
