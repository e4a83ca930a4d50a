"""Whether a data set is the one that a network answers about."""

from core.data.dataset import DataSet
from core.errors import InputError
from core.networks.checkpoint import Checkpoint
from core.specs.vocabulary import data_set_name, is_folder


def fitting(dataset: DataSet, checkpoint: Checkpoint) -> DataSet:
    """Return the data set. Raises InputError if its classes are not those of the network.

    Folders of the same name can have other classes; so can a folder that was changed.
    """
    title = data_set_name(dataset.name).title
    expected = checkpoint.signature.classes
    if dataset.classes != expected:
        raise InputError(
            f"{checkpoint.path} has {expected:,} classes, but {title!r} has {dataset.classes:,}: "
            "use the images that it was trained on."
        )
    recorded = checkpoint.metadata.get("class_names")
    if not is_folder(dataset.name) or not isinstance(recorded, list):
        return dataset
    for learned, there in zip(recorded, dataset.class_names, strict=False):
        if learned != there:
            raise InputError(
                f"{checkpoint.path} was trained on a class {learned!r}, where {title!r} has "
                f"{there!r}: use the images that it was trained on."
            )
    return dataset
