"""A network to take away: what is said of it in its files and on its card."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from core.data.dataset import DataSet, subset_indices
from core.export import tensorrt
from core.export.bundle import Bundle
from core.export.card import Accuracy, File, card_text
from core.export.extras import version_of
from core.export.subject import MOST_IMAGES, Subject
from core.export.vocabulary import FORMATS
from core.networks.checkpoint import Checkpoint
from core.networks.metadata import provenance
from core.results import Result
from core.specs.point import Point
from core.specs.vocabulary import data_set_name
from core.specs.written import text_of

ACCURACY = ("correct", "seen", "precision")
"""The keys of the accuracy in a pruned network's metadata."""
KEPT = ("class_names",)
"""The baseline's metadata that a pruned network keeps."""
CARDS = (".card.json", ".card.md")


def pruned_metadata(
    point: Point, source: Checkpoint, accuracy: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the metadata of a pruned network's checkpoint."""
    return {
        "kind": "pruned",
        "spec": asdict(point.spec.canonical()),
        "recovery": point.recovery.to_json(),
        "baseline": {"file": source.path.name, "fingerprint": source.fingerprint},
        **{name: source.metadata[name] for name in KEPT if name in source.metadata},
        "accuracy": accuracy,
        **provenance(),
    }


def accuracy_in_metadata(accuracy: Accuracy | None) -> dict[str, Any] | None:
    return None if accuracy is None else {name: getattr(accuracy, name) for name in ACCURACY}


def accuracy_of(result: Result, dataset: str) -> Accuracy:
    """Return a result's accuracy as a card tells it; `dataset` is the name of the data set."""
    evaluation, key = result.evaluation, result.key
    return Accuracy(
        evaluation.correct,
        evaluation.seen,
        evaluation.interval,
        images_in_words(evaluation.seen, key.subset_seed, dataset),
        key.precision,
    )


def images_in_words(seen: int, seed: int, dataset: str) -> str:
    drawn = f", drawn with seed {seed}" if seed else ""
    return f"{seen:,} test images of {data_set_name(dataset).title}{drawn}"


def images_to_check(dataset: DataSet | None) -> tuple[Tensor | None, Tensor | None]:
    """Return the test images that files are checked on, stratified by class, and their labels."""
    if dataset is None:
        return None, None
    chosen = subset_indices(dataset.test_labels, min(MOST_IMAGES, len(dataset.test_labels)))
    return dataset.test_images[chosen], dataset.test_labels[chosen]


def description(source: Checkpoint, point: Point | None) -> str:
    """Say in one line what a network is; `point` is None if it is not known."""
    said = "pruned" if point is None else text_of(point)
    return f"{source.signature.architecture} on {data_set_name(source.dataset).title}, {said}"


def files_of(bundle: Bundle) -> list[File]:
    """Return the files of a bundle as a card lists them."""
    return [File(name, len(content), bundle.hashes[name]) for name, content in bundle.files.items()]


def versions(formats: Sequence[str]) -> dict[str, str]:
    """Return the versions of what made files in these formats."""
    packages = dict.fromkeys(each for name in formats for each in FORMATS[name].packages)
    return {**provenance()["versions"], **{each: version_of(each) for each in packages}}


def notes(subject: Subject, formats: Sequence[str], name: str) -> list[str]:
    """Return what a person who runs the files must know; `name` is theirs, without extension."""
    signature = subject.network.signature
    _, *shape = signature.example
    mean, std = signature.normalisation.mean, signature.normalisation.std
    pixels = "pixels from 0 to 1, colours first"
    outside = f"{pixels}, less the mean {mean} and divided by the std {std}"
    size = "x".join(map(str, ("N", *shape)))
    said = []
    for each in formats:
        inside = subject.normalise and FORMATS[each].can_normalise
        said.append(f"{FORMATS[each].label}: fp32 inputs {size}, {pixels if inside else outside}.")
    if "onnx" in formats:
        command = tensorrt.command_text(Path(f"{name}.onnx"), signature)
        said.append(f"TensorRT: `{command}` builds an engine from the ONNX file.")
    return said


def with_cards(bundle: Bundle, card: Mapping[str, Any], name: str) -> Bundle:
    """Return the files together with the card, as JSON and as Markdown."""
    texts = (json.dumps(card, indent=2) + "\n", card_text(card))
    cards = {f"{name}{each}": text.encode() for each, text in zip(CARDS, texts, strict=True)}
    return Bundle({**bundle.files, **cards}, bundle.checks)
