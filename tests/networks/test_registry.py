"""Architectures by name: those of the registry, and those that others define."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from core.data.normalisation import CIFAR10
from core.errors import InputError
from core.networks import checkpoint
from core.networks.architectures import elsewhere
from core.networks.architectures.small_resnet import ZeroPaddedShortcut
from core.networks.fresh import Plan
from core.networks.network import Network
from core.networks.registry import ARCHITECTURES, build, build_on_meta, entry
from core.networks.segments import run_segments
from core.networks.signature import Signature
from core.pruning import prune
from core.specs.architecture import Architecture
from core.specs.pruning import PruningSpec
from tests.networks.removal import check_removal, doubled

FORMS = [
    *map(Architecture, ARCHITECTURES),
    Architecture.of("resnet20", {"shortcut": "conv"}),
]
SIZES = {  # parameters and MACs of one image, from the papers and other implementations
    "resnet18": (11_173_962, 555.4),
    "resnet34": (21_282_122, 1159.4),
    "resnet50": (23_520_842, 1297.8),
    "resnet20": (269_722, 40.6),
    "resnet32": (464_154, 68.9),
    "resnet44": (658_586, 97.2),
    "resnet56": (853_018, 125.5),
    "vgg11": (9_231_114, 152.8),
    "vgg16": (14_728_266, 313.2),
    "mobilenet_v2": (2_236_682, 88.0),
}


def signature(architecture: Architecture | str, image_size: int = 32) -> Signature:
    named = Architecture(architecture) if isinstance(architecture, str) else architecture
    return Signature(named, 10, image_size, CIFAR10)


def narrow(architecture: Architecture) -> Network:
    network = Plan(signature(architecture), 8).build(seed=0)
    generator = torch.Generator().manual_seed(1)
    for layer in network.module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.weight.data.uniform_(0.5, 1.5, generator=generator)
            layer.bias.data.normal_(generator=generator)
    return network


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_sizes_are_the_published_ones(name: str) -> None:
    module = build_on_meta(signature(name))
    parameters, macs = SIZES[name]
    assert sum(each.numel() for each in module.parameters()) == parameters
    positions: dict[str, int] = {}
    for layer_name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):

            def count(
                layer: nn.Module, _: object, output: torch.Tensor, name: str = layer_name
            ) -> None:
                weight = layer.get_parameter("weight")
                positions[name] = weight.numel() * output[0].numel() // output.shape[1]

            layer.register_forward_hook(count)
    module.eval()(torch.empty(1, 3, 32, 32, device="meta"))
    assert round(sum(positions.values()) / 1e6, 1) == macs


@pytest.mark.parametrize("architecture", FORMS, ids=str)
def test_the_segments_are_the_whole_network(architecture: Architecture) -> None:
    network = narrow(architecture)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert torch.equal(run_segments(network.segments, images), network.module(images))
    owned = [name for name in network.tensors() if any(s.owns(name) for s in network.segments)]
    assert owned == list(network.tensors())
    assert len(network.segments) > 8


@pytest.mark.parametrize("architecture", FORMS, ids=str)
def test_pruning_removes_exactly_what_it_should(architecture: Architecture) -> None:
    network = narrow(architecture)
    assert set(network.structure.fixed) == {list(network.layers)[-1]}
    check_removal(doubled(network.module), network.signature.example)


@pytest.mark.parametrize("architecture", FORMS, ids=str)
def test_dense_and_narrowed_networks_come_back_from_their_files(
    architecture: Architecture, tmp_path: Path
) -> None:
    network = narrow(architecture)
    for number, spec in enumerate([PruningSpec("channel", 0.5), PruningSpec("channel", 0.3)]):
        path = tmp_path / f"{number}.safetensors"
        checkpoint.save(network, path, "cifar10", {})
        loaded = checkpoint.load(path)
        assert loaded.signature == network.signature
        assert checkpoint.stored_tensors(loaded.network.module).keys() == loaded.stored.keys()
        for name, tensor in checkpoint.stored_tensors(network.module).items():
            assert torch.equal(tensor, loaded.stored[name])
        network = prune(loaded.network, spec).network


def test_the_zeros_of_a_shortcut_are_pruned_unevenly() -> None:
    pruned = prune(narrow(Architecture("resnet20")), PruningSpec("channel", 0.5)).network
    shortcuts = [each for each in pruned.module.modules() if isinstance(each, ZeroPaddedShortcut)]
    assert len(shortcuts) == 2
    for shortcut in shortcuts:
        assert not shortcut.before.any()
        assert not shortcut.after.any()


@pytest.mark.parametrize("name", [*ARCHITECTURES, "torchvision:squeezenet1_1"])
def test_new_networks_depend_on_the_seed_alone(name: str) -> None:
    state = torch.random.get_rng_state()
    plan = Plan(signature(name, 64))
    first, again, other = (plan.build(seed).tensors() for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(first[each], again[each]) for each in first)
    assert any(not torch.equal(first[each], other[each]) for each in first)
    assert all(each.isfinite().all() for each in first.values())


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        (Architecture("resnet19"), "There is no architecture 'resnet19'"),
        (Architecture.of("resnet20", {"shortcut": "wide"}), "zeros or conv"),
        (Architecture.of("resnet20", {"depth": 3}), "cannot be built"),
        (Architecture("torchvision:resnet19"), "torchvision has no"),
        (Architecture("torchvision:raft_small"), "torchvision has no"),
        (Architecture.of("torchvision:resnet18", {"weights": "DEFAULT"}), "cannot be built"),
        (Architecture("timm:hf-hub:someone/network"), "timm has no model"),
        (Architecture("timm:nothing"), "timm has no model"),
        (Architecture("no:such:thing"), "package.module:function"),
        (Architecture("os;import:x"), "package.module:function"),
    ],
)
def test_what_cannot_be_built_is_said(architecture: Architecture, said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        build_on_meta(signature(architecture))
    assert "\n" not in str(error.value)


# Networks of others


@pytest.mark.parametrize(
    ("name", "image_size"),
    [
        ("torchvision:resnet18", 32),
        ("torchvision:googlenet", 64),
        ("torchvision:regnet_y_400mf", 32),  # its builder computes with numbers
        ("torchvision:vit_b_32", 64),  # its builder asks for the size of the images
        ("timm:resnet10t", 32),
        ("timm:vit_tiny_patch16_224", 32),
    ],
)
def test_networks_of_libraries_come_back_from_their_files(
    name: str, image_size: int, tmp_path: Path
) -> None:
    if name.startswith("timm"):
        pytest.importorskip("timm")
    network = Plan(signature(name, image_size)).build(seed=0)
    path = tmp_path / "file.safetensors"
    checkpoint.save(network, path, "cifar10", {})
    loaded = checkpoint.load(path).network
    network.module.load_state_dict(checkpoint.stored_tensors(network.module))
    images = torch.rand(2, 3, image_size, image_size, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        assert torch.equal(loaded.module(images), network.module(images))
    pruned = prune(loaded, PruningSpec("channel", 0.5)).network
    assert sum(map(torch.numel, pruned.module.parameters())) < sum(
        map(torch.numel, loaded.module.parameters())
    )


OWN = '''
import torch
from torch import nn

print("imported")


class Constant(nn.Module):
    """Keeps what it computes out of the file."""

    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.linspace(1, 2, 4), persistent=False)
        self.shift = torch.linspace(0, 1, 4)

    def forward(self, x):
        return x * self.scale.view(-1, 1, 1) + self.shift.view(-1, 1, 1)


def network(num_classes=10):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), Constant(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, num_classes),
    )


def without_arguments():
    return network()


def broken():
    raise KeyError("layer")


def no_module():
    return "a network"
'''


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module of own code, which nobody has allowed."""
    (tmp_path / "own_networks.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv(elsewhere.OWN_CODE, raising=False)
    monkeypatch.delitem(sys.modules, "own_networks", raising=False)
    return "own_networks"


def test_a_file_that_names_own_code_does_not_import_it(
    own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{own}:network"
    monkeypatch.setenv(elsewhere.OWN_CODE, name)
    network = Plan(signature(name)).build(seed=0)
    path = tmp_path / "file.safetensors"
    checkpoint.save(network, path, "cifar10", {})
    loaded = checkpoint.load(path).network
    network.module.load_state_dict(checkpoint.stored_tensors(network.module))
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(loaded.module(images), network.module(images))
    monkeypatch.setenv(elsewhere.OWN_CODE, f"{own}:another")
    monkeypatch.delitem(sys.modules, own)
    assert checkpoint.read(path).signature.architecture.name == name
    with pytest.raises(InputError, match=f"with EXPLORER_NETWORKS={name}"):
        checkpoint.load(path)
    assert own not in sys.modules


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("broken", "cannot be built .KeyError: 'layer'."),
        ("no_module", "gives a str, not a torch.nn.Module"),
        ("missing", "cannot be imported .AttributeError"),
    ],
)
def test_own_code_that_fails_is_said_in_one_sentence(
    function: str, said: str, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{own}:{function}"
    monkeypatch.setenv(elsewhere.OWN_CODE, f"{name}, {own}:another")
    with pytest.raises(InputError, match=said):
        build(signature(name))


def test_own_code_gets_the_number_of_classes_if_it_takes_it(
    own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(elsewhere.OWN_CODE, f"{own}:network,{own}:without_arguments")
    three = Signature(Architecture(f"{own}:network"), 3, 32, CIFAR10)
    assert build(three)[-1].out_features == 3  # type: ignore[index]
    assert isinstance(build(signature(f"{own}:without_arguments")), nn.Module)


def test_a_width_is_only_for_what_can_be_scaled() -> None:
    assert entry(Architecture("torchvision:resnet18")).width is None
    with pytest.raises(InputError, match="one width only"):
        Plan(signature("torchvision:resnet18"), 8)
