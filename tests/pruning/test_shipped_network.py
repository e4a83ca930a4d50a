"""The shipped ResNet-18 keeps its groups and loses the channels that stored results are about."""

import hashlib
from itertools import product
from pathlib import Path

import pytest

from core.networks import checkpoint
from core.networks.flow import follow
from core.networks.groups import Structure
from core.pruning.channel import ChannelPruner
from core.specs.pruning import PruningSpec
from tests.small_networks import facts_of, with_structure

MODEL = checkpoint.load(Path("checkpoints/resnet18-cifar10.safetensors")).network.module

# SHA-256 of the names and kept indices (int64) of all groups at the ratios 0 to 1 in hundredths, by
# criterion, seed, allocation and scope; made before groups were found by labels.
KEPT = {
    ("l1", 0, "uniform", "all"):
        "622aad9336436829bbce7948d05c1b286eb96fec2b995750b2b9dadd3e669878",
    ("l1", 0, "uniform", "internal"):
        "9117e828bf66414c3030a694b06070b88370eed1a0d71f934968a7da11ccc5fd",
    ("l1", 0, "global", "all"):
        "d875bd9876097000e559413a85209845d1c91b5a67f0755dfecc14ca0d328416",
    ("l1", 0, "global", "internal"):
        "ec33db51d897eb6974ab97ba8f8c7c237a805a1033a77c00d3c2ba518e5b4ade",
    ("l2", 0, "uniform", "all"):
        "5ed98cc2c21555de14c81b9587e682ff79b213a0df887377a72241da6877595a",
    ("l2", 0, "uniform", "internal"):
        "eef104e405a0778961bd7695a04fff6d979933407ff629bb416da1bbf1d938a9",
    ("l2", 0, "global", "all"):
        "328f046426a80c3412998fb9d12553cfd4ed379f27ea27670cec52ca563e848a",
    ("l2", 0, "global", "internal"):
        "0ab68d58a18dd4b0d5956936f258bb5589a0d8b4f8f11c2545fb0fec01d26b4c",
    ("bn", 0, "uniform", "all"):
        "5bbbd35074d3102e1f893ee69d2bf70c319f6aa42984ab9403bfa64ed6d0baff",
    ("bn", 0, "uniform", "internal"):
        "478da72a54671e1f19a42e2f8ddef81b811773f0e092031c2abe9b5d4eca2074",
    ("bn", 0, "global", "all"):
        "76ad28cf401cd47e674be7eb2e89d743aaead96e257d5c5f5ba42253d21ceacc",
    ("bn", 0, "global", "internal"):
        "d84c2efee1f8476b01c0cfc305c043f55e1af00e0ed7fa025b5dba0d375d62ef",
    ("random", 0, "uniform", "all"):
        "b6b818f549469d39fa4b25896699f4389e9ebaa6e7b0a3fe44266c5a16165fc2",
    ("random", 0, "uniform", "internal"):
        "d27933b915ba5295f8964a727b5da1e6c955f2f3a3032fea3d41112d9374d12c",
    ("random", 0, "global", "all"):
        "6725ef58cdc7c242c62b79d4065cdb8b7e24604cb27eaf36cb46666756af3c4c",
    ("random", 0, "global", "internal"):
        "48f3866a61fec1f39ce36e9589c83a18931c2266fbd8ccc2e1d42a51a6da463c",
    ("random", 7, "uniform", "all"):
        "8096b4570357f229722a1171158c9ba1c55d281bcee0d7c6c1b76db166949a71",
    ("random", 7, "uniform", "internal"):
        "2dd679c8234b933d3e6329dc6f4dcfb9866941d85c8e5560f3902ce83fac97d1",
    ("random", 7, "global", "all"):
        "f13785a4621c598cf156a43870d04c49d49385fb53255f4745bbb8621423c7ab",
    ("random", 7, "global", "internal"):
        "8c97bce40075b01e397beb30cc3e01e9e9a1f5b804de10becd28eed47f2eb3cc",
}  # fmt: skip


@pytest.fixture(scope="module")
def structure() -> Structure:
    return follow(MODEL, (1, 3, 32, 32))


@pytest.mark.parametrize(("criterion", "seed", "allocation", "scope"), KEPT)
def test_the_kept_channels_are_those_of_stored_results(
    structure: Structure, criterion: str, seed: int, allocation: str, scope: str
) -> None:
    pruner = ChannelPruner(facts_of(with_structure(MODEL, structure), seed), criterion)
    digest = hashlib.sha256()
    for hundredths in range(101):
        spec = PruningSpec("channel", hundredths / 100, criterion, allocation, scope, seed)
        for name, indices in pruner.kept(spec).items():
            digest.update(name.encode() + indices.numpy().tobytes())
    assert digest.hexdigest() == KEPT[criterion, seed, allocation, scope]


def test_the_groups_are_these_in_this_order(structure: Structure) -> None:
    """Name, channels, producers, consumers; the test of ResNet's members has the rest."""
    assert structure.is_sure
    assert [group.name for group in structure.groups if group.is_residual] == [
        "conv1",
        "layer2.0.conv2",
        "layer3.0.conv2",
        "layer4.0.conv2",
    ]
    inner = [f"layer{stage}.{block}.conv1" for stage, block in product((1, 2, 3, 4), (0, 1))]
    assert [group.name for group in structure.groups if not group.is_residual] == inner
    assert structure.groups[0].producers == ("conv1", "layer1.0.conv2", "layer1.1.conv2")
    assert [group.size for group in structure.groups] == [
        64, 64, 64, 128, 128, 128, 256, 256, 256, 512, 512, 512
    ]  # fmt: skip
