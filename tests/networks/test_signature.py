"""What decides a network's output besides its tensors."""

from dataclasses import replace

from core.data.normalisation import CIFAR10, Normalisation
from core.networks.signature import Signature
from core.specs.architecture import Architecture

USUAL = Signature(Architecture("resnet18"), 10, 32, CIFAR10)


def test_whatever_changes_the_output_is_part_of_the_identity() -> None:
    assert USUAL.identity == "resnet18"  # as in every key of the first results
    others = [
        replace(USUAL, architecture=Architecture.of("resnet18", {"stride": 2})),
        replace(USUAL, architecture=Architecture("another")),
        replace(USUAL, image_size=64),
        replace(USUAL, normalisation=Normalisation((0.5,) * 3, CIFAR10.std)),
        replace(USUAL, normalisation=Normalisation(CIFAR10.mean, (0.5,) * 3)),
    ]
    identities = {USUAL.identity, *(other.identity for other in others)}
    assert len(identities) == 1 + len(others)


def test_the_order_of_settings_makes_no_difference() -> None:
    one, other = (
        replace(USUAL, architecture=Architecture.of("resnet18", settings))
        for settings in ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    )
    assert one == other
    assert one.identity == other.identity


def test_the_example_has_a_channel_for_each_mean() -> None:
    grey = replace(USUAL, normalisation=Normalisation((0.5,), (0.5,)), image_size=28)
    assert USUAL.example == (1, 3, 32, 32)
    assert grey.example == (1, 1, 28, 28)
