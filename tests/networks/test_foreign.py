"""Checkpoints that other code wrote are read safely and find their architecture."""

import argparse
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm
from torch.optim.swa_utils import AveragedModel
from torchvision import models

from core.data.normalisation import CIFAR10
from core.errors import InputError
from core.networks.foreign import Fitted, fit, namesakes, read, recognise, state_dict_in
from core.networks.foreign.pickles import MOST_INSTRUCTIONS
from core.networks.fresh import Plan
from core.networks.network import Network
from core.networks.registry import ARCHITECTURES
from core.networks.signature import Signature
from core.pruning import prune as prune_network
from core.specs.architecture import Architecture
from core.specs.pruning import PruningSpec

IMAGES = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def signature(name: str = "resnet20", classes: int = 10, **settings: Any) -> Signature:
    return Signature(Architecture.of(name, settings), classes, 32, CIFAR10)


def network(name: str = "resnet20", width: int | None = 4, **settings: Any) -> Network:
    """A narrow network with random statistics in its batch-norms."""
    built = Plan(signature(name, **settings), width).build(seed=1)
    generator = torch.Generator().manual_seed(2)
    for layer in built.module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.weight.data, layer.bias.data, layer.running_mean):
                assert tensor is not None
                tensor.uniform_(0.5, 1.5, generator=generator)
    return built


def answers(of: Network | nn.Module) -> Tensor:
    module = of.module if isinstance(of, Network) else of
    with torch.no_grad():
        logits: Tensor = module.eval()(IMAGES)
    return logits


def saved(content: Any, path: Path, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


def recognised(path: Path, **changes: Any) -> Fitted:
    return recognise(state_dict_in(read(path)), signature(**changes))


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as error:
        recognised(path)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_recognised_by_its_own_names(name: str, tmp_path: Path) -> None:
    original = network(name)
    found = recognised(saved(original.tensors(), tmp_path / "file.pth"))
    assert found.network.architecture == original.architecture
    assert torch.equal(answers(found.network), answers(original))


def test_settings_are_recognised(tmp_path: Path) -> None:
    original = network("resnet32", shortcut="conv")
    found = recognised(saved(original.tensors(), tmp_path / "file.pth"))
    assert found.network.architecture == Architecture.of("resnet32", {"shortcut": "conv"})
    assert torch.equal(answers(found.network), answers(original))


# Files


def old_format(tensors: Mapping[str, Tensor], path: Path) -> Path:
    return saved(dict(tensors), path, _use_new_zipfile_serialization=False)


def in_safetensors(tensors: Mapping[str, Tensor], path: Path) -> Path:
    save_file(dict(tensors), path)
    return path


@pytest.mark.parametrize("save", [saved, old_format, in_safetensors])
@pytest.mark.parametrize("suffix", [".pth", ".tar"])
def test_the_content_decides_what_a_file_is(
    save: Callable[[Mapping[str, Tensor], Path], Path], suffix: str, tmp_path: Path
) -> None:
    original = network()
    found = recognised(save(original.tensors(), tmp_path / f"file{suffix}"))
    assert torch.equal(answers(found.network), answers(original))


WRAPPED: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "state_dict": lambda tensors: {"state_dict": tensors, "best_prec1": 91.5, "epoch": 3},
    "net": lambda tensors: {"net": tensors, "acc": 91.5, "epoch": 3},
    "model_state_dict beside an optimiser": lambda tensors: {
        "optimizer_state_dict": {"state": {0: {"momentum": torch.ones(4, 4)}}},
        "model_state_dict": tensors,
        "accuracy": torch.tensor(91.5),
        "epoch": 3,
    },
    "two levels": lambda tensors: {"checkpoint": {"model": tensors}},
    "the average rather than the last": lambda tensors: {
        "model": {name: tensor * 2 for name, tensor in tensors.items()},
        "state_dict": tensors,
    },
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_wrappers_are_opened(wrap: Callable[[dict[str, Tensor]], Any], tmp_path: Path) -> None:
    original = network()
    found = recognised(saved(wrap(original.tensors()), tmp_path / "file"))
    assert torch.equal(answers(found.network), answers(original))
    if found.said:
        assert set(found.said.values()) == {91.5, 3.0}


@pytest.mark.parametrize("is_new", [True, False])
def test_what_scripts_save_beside_the_weights_is_passed_over(is_new: bool, tmp_path: Path) -> None:
    original = network()
    content = {
        "state_dict": original.tensors(),
        "args": argparse.Namespace(lr=0.1, out=Path("runs")),
        "best_acc": np.float64(91.5),
        "random": np.random.default_rng(0).random(3),
        "epoch": 3,
    }
    path = saved(content, tmp_path / "file", _use_new_zipfile_serialization=is_new)
    found = recognised(path)
    assert torch.equal(answers(found.network), answers(original))
    with pytest.raises(pickle.UnpicklingError):  # the stand-ins are gone
        torch.load(path, weights_only=True)


def test_files_are_read_beside_each_other(tmp_path: Path) -> None:
    tensors = network().tensors()
    content = {"state_dict": tensors, "args": argparse.Namespace(lr=0.1)}
    path = saved(content, tmp_path / "file")
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(read, [path] * 40):
            assert found["state_dict"].keys() == tensors.keys()


def test_another_protocol_is_said(tmp_path: Path) -> None:
    path = saved(network().tensors(), tmp_path / "file", pickle_protocol=4)
    assert "pickle_protocol" in refusal(path)


# Names


def renamed(change: Callable[[str], str]) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda tensors: {change(name): tensor for name, tensor in tensors.items()}


PREFIXED = {
    "DataParallel": lambda name: f"module.{name}",
    "torch.compile": lambda name: f"_orig_mod.{name}",
    "both": lambda name: f"module._orig_mod.{name}",
    "both, the other way": lambda name: f"_orig_mod.module.{name}",
    "Lightning": lambda name: f"model.{name}",
    "backbone": lambda name: f"backbone.{name}",
    "several": lambda name: f"model.module.backbone._orig_mod.{name}",
    "within": lambda name: name.replace("layer1.0.", "layer1.0._orig_mod."),
    "only a part": lambda name: name if name.startswith("fc.") else f"backbone.{name}",
}


@pytest.mark.parametrize("change", PREFIXED.values(), ids=PREFIXED)
def test_prefixes_are_dropped(change: Callable[[str], str], tmp_path: Path) -> None:
    original = network()
    found = recognised(saved(renamed(change)(original.tensors()), tmp_path / "file"))
    assert torch.equal(answers(found.network), answers(original))
    assert any("from the names" in note for note in found.notes)


def within(
    part: str, beside: dict[str, Tensor]
) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda tensors: beside | {f"{part}.{name}": each for name, each in tensors.items()}


TWICE = {f"teacher.{name}": tensor + 1 for name, tensor in network().tensors().items()}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (within("resnet", {}), ["Dropped resnet. from the names."]),
        (
            within("model", {"criterion.weight": torch.ones(10)}),
            [
                "Dropped model. from the names.",
                "Left out what stands beside the network: criterion.",
            ],
        ),
        (
            within("lit.resnet", {"queue": torch.ones(3, 4), "lit.loss.weight": torch.ones(10)}),
            [
                "Dropped lit., resnet. from the names.",
                "Left out what stands beside the network: queue, lit.",
            ],
        ),
        (
            lambda tensors: within("student", {})(tensors) | TWICE,
            ["Dropped student. from the names."],
        ),
    ],
)
def test_a_network_is_found_within_a_larger_module(
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]], said: list[str], tmp_path: Path
) -> None:
    original = network()
    found = recognised(saved(change(original.tensors()), tmp_path / "file"))
    assert torch.equal(answers(found.network), answers(original))
    for each in said:
        assert each in found.notes


def test_a_head_of_another_module_is_taken_with_its_backbone(tmp_path: Path) -> None:
    original = network()
    theirs = renamed(lambda name: name if name.startswith("fc.") else f"trunk.{name}")
    found = recognised(saved(theirs(original.tensors()), tmp_path / "file"))
    assert torch.equal(answers(found.network), answers(original))
    assert not any("Left out" in note for note in found.notes)


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_weiaicunzai_names_are_known(name: str, tmp_path: Path) -> None:
    original = network(name)
    theirs = {}
    for ours, tensor in original.tensors().items():
        part, rest = ours.split(".", 1)
        if part in ("conv1", "bn1"):
            part = f"conv1.{0 if part == 'conv1' else 1}"
        elif part.startswith("layer"):
            block, layer, end = rest.split(".", 2)
            number = {"conv1": 0, "bn1": 1, "conv2": 3, "bn2": 4, "conv3": 6, "bn3": 7}.get(layer)
            layer = "shortcut" if number is None else f"residual_function.{number}"
            part, rest = f"conv{int(part[-1]) + 1}_x", f"{block}.{layer}.{end}"
        theirs[f"{part}.{rest}"] = tensor
    assert "conv2_x.0.residual_function.3.weight" in theirs
    found = recognised(saved(theirs, tmp_path / "file"))
    assert found.network.architecture == original.architecture
    assert torch.equal(answers(found.network), answers(original))


def test_dropout_before_the_last_layer_is_passed_over(tmp_path: Path) -> None:
    original = network()
    theirs = renamed(lambda name: name.replace("fc.", "fc.1."))(original.tensors())
    found = recognised(saved(theirs, tmp_path / "file"))
    assert torch.equal(answers(found.network), answers(original))


def test_a_vgg_with_hidden_layers_is_recognised(tmp_path: Path) -> None:
    module = models.vgg16_bn(num_classes=10)
    module.avgpool = nn.AdaptiveAvgPool2d(1)
    module.classifier[0] = nn.Linear(512, 4096)
    found = recognised(saved(module.state_dict(), tmp_path / "file"))
    assert found.network.architecture == Architecture.of("vgg16", {"head": "mlp"})
    torch.testing.assert_close(answers(found.network), answers(module))


def test_a_stem_with_pooling_is_built_of_the_same_tensors(tmp_path: Path) -> None:
    module = models.resnet18(num_classes=10)
    module.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    stored = state_dict_in(read(saved(module.state_dict(), tmp_path / "file")))
    likeliest = recognise(stored, signature())
    (pooled,) = namesakes(stored, likeliest)
    assert likeliest.network.architecture == Architecture("resnet18")
    assert torch.equal(answers(pooled.network), answers(module))


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet20"])
def test_kuangliu_names_are_known(name: str, tmp_path: Path) -> None:
    original = network(name, shortcut="conv") if name == "resnet20" else network(name)
    theirs = renamed(
        lambda name: name.replace("downsample.", "shortcut.").replace("fc.", "linear.")
    )(original.tensors())
    found = recognised(saved({"net": theirs, "acc": 95.0}, tmp_path / "ckpt.pth"))
    assert found.network.architecture == original.architecture
    assert torch.equal(answers(found.network), answers(original))
    assert "Renamed shortcut to downsample, linear to fc." in found.notes


def test_akamasters_files_lack_zeros_and_counters(tmp_path: Path) -> None:
    original = network()
    theirs = {
        f"module.{name.replace('fc.', 'linear.')}": tensor
        for name, tensor in original.tensors().items()
        if "downsample" not in name and "num_batches" not in name
    }
    found = recognised(old_format(theirs, tmp_path / "resnet20.th"))
    assert torch.equal(answers(found.network), answers(original))


def test_own_code_may_have_parts_named_like_wrappers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLORER_NETWORKS", "tests.networks.test_foreign:with_backbone")
    original = with_backbone()
    stored = {f"module.{name}": each for name, each in original.state_dict().items()}
    found = fit(
        state_dict_in(read(saved(stored, tmp_path / "file"))),
        signature("tests.networks.test_foreign:with_backbone"),
    )
    assert torch.equal(answers(found.network), answers(original))


def with_backbone(num_classes: int = 10) -> nn.Module:
    network = nn.Sequential()
    network.add_module("backbone", nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()))
    network.add_module("pool", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    network.add_module("head", nn.Linear(4, num_classes))
    return network


# Numbers


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_become_fp32(dtype: torch.dtype, tmp_path: Path) -> None:
    original = network()
    original.module.to(dtype).float()
    stored = {name: each.to(dtype) for name, each in original.tensors().items() if each.ndim}
    found = recognised(saved(stored, tmp_path / "file"))
    assert all(each.dtype == torch.float32 for each in found.network.module.parameters())
    assert torch.equal(answers(found.network), answers(original))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    tensors = network().tensors()
    tensors["layer1.0.conv1.weight"][0, 0] = value
    said = refusal(saved(tensors, tmp_path / "file"))
    assert "layer1.0.conv1.weight" in said
    assert "not finite" in said


def test_weights_without_their_scale_are_refused(tmp_path: Path) -> None:
    tensors = network().tensors()
    tensors["layer1.0.conv1.weight"] = (tensors["layer1.0.conv1.weight"] * 100).to(torch.int8)
    assert "whole numbers" in refusal(saved(tensors, tmp_path / "file"))


def test_negative_variances_are_refused(tmp_path: Path) -> None:
    tensors = network().tensors()
    tensors["bn1.running_var"][0] = -1
    assert "negative variances" in refusal(saved(tensors, tmp_path / "file"))


def test_an_averaged_network_is_taken(tmp_path: Path) -> None:
    original = network()
    averaged = AveragedModel(original.module)
    averaged.update_parameters(original.module)
    found = recognised(saved({"swa_model": averaged.state_dict()}, tmp_path / "file"))
    torch.testing.assert_close(answers(found.network), answers(original))


def each_convolution(module: nn.Module) -> list[nn.Module]:
    return [each for each in module.modules() if isinstance(each, nn.Conv2d)]


def masked(module: nn.Module) -> None:
    for layer in each_convolution(module):
        prune.random_unstructured(layer, "weight", 0.5)  # type: ignore[no-untyped-call]


def weight_normed(module: nn.Module) -> None:
    for layer in each_convolution(module):
        weight_norm(layer)


def weight_normed_by_parametrization(module: nn.Module) -> None:
    for layer in each_convolution(module):
        parametrizations.weight_norm(layer)


def spectral_normed(module: nn.Module) -> None:
    for layer in each_convolution(module):
        spectral_norm(layer)


def spectral_normed_by_parametrization(module: nn.Module) -> None:
    for layer in each_convolution(module):
        parametrizations.spectral_norm(layer)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (masked, "Masks of pruning were applied to 19 tensors."),
        (weight_normed, "Weight normalisation was folded into 19 layers."),
        (weight_normed_by_parametrization, "Weight normalisation was folded into 19 layers."),
        (spectral_normed, "Spectral normalisation was folded into 19 layers."),
        (spectral_normed_by_parametrization, "Spectral normalisation was folded into 19 layers."),
    ],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm")
def test_computed_weights_are_folded(
    change: Callable[[nn.Module], None], said: str, tmp_path: Path
) -> None:
    module = network().module
    change(module)
    expected = answers(module)
    found = recognised(saved(module.state_dict(), tmp_path / "file"))
    assert said in found.notes
    torch.testing.assert_close(answers(found.network), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "vgg16", "mobilenet_v2", "resnet56"])
def test_narrowed_networks_keep_their_shapes(name: str, tmp_path: Path) -> None:
    narrowed = prune_network(network(name, 8), PruningSpec("channel", 0.5, scope="internal"))
    found = recognised(saved(narrowed.network.tensors(), tmp_path / "file"))
    assert torch.equal(answers(found.network), answers(narrowed.network))


# What fits nothing


def test_an_imagenet_stem_is_named_and_taken_when_asked_for(tmp_path: Path) -> None:
    module = models.resnet18(num_classes=10)
    path = saved(module.state_dict(), tmp_path / "file.pth")
    said = refusal(path)
    assert "Nearest is ResNet-18" in said
    assert "conv1 is 7×7, not 3×3: this is an ImageNet stem" in said
    found = fit(state_dict_in(read(path)), signature("torchvision:resnet18"))
    assert torch.equal(answers(found.network), answers(module))


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (lambda: models.resnet34(num_classes=10), "Nearest is ResNet-34"),
        (lambda: models.vgg16_bn(num_classes=10), "Nearest is VGG-16"),
        (lambda: models.mobilenet_v2(num_classes=10), None),
        (lambda: models.wide_resnet50_2(num_classes=10), "Nearest is ResNet-50"),
    ],
)
def test_the_nearest_architecture_is_said(
    module: Callable[[], nn.Module], expected: str | None, tmp_path: Path
) -> None:
    path = saved(module().state_dict(), tmp_path / "file")
    if expected is None:  # MobileNetV2's tensors are the same, whatever its strides
        assert recognised(path).network.architecture.name == "mobilenet_v2"
    else:
        said = refusal(path)
        assert expected in said
        assert len(said) < 500


def test_a_part_that_both_have_is_told_apart(tmp_path: Path) -> None:
    tensors = network().tensors()
    tensors["fc.gain"] = tensors.pop("fc.bias")
    said = refusal(saved(tensors, tmp_path / "file"))
    assert "it has no fc.bias; it has fc.gain besides" in said


def test_another_number_of_classes_is_said(tmp_path: Path) -> None:
    path = saved(network().tensors(), tmp_path / "file")
    with pytest.raises(InputError, match=r"10 classes apart .* 100"):
        recognised(path, classes=100)


def test_auxiliary_heads_are_left_out(tmp_path: Path) -> None:
    module = models.googlenet(num_classes=10, init_weights=False)
    path = saved(module.state_dict(), tmp_path / "file")
    found = fit(state_dict_in(read(path)), signature("torchvision:googlenet"))
    assert any("auxiliary heads" in note for note in found.notes)
    torch.testing.assert_close(answers(found.network), answers(module))


# Hostile files


class Hostile:
    def __init__(self, touched: Path):
        self.touched = touched

    def __reduce__(self) -> Any:
        return (Path.touch, (self.touched,))


@pytest.mark.parametrize("is_new", [True, False])
def test_a_pickle_that_would_run_code_is_refused_and_named(is_new: bool, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    content = {"state_dict": network().tensors(), "args": Hostile(touched)}
    path = saved(content, tmp_path / "file", _use_new_zipfile_serialization=is_new)
    said = refusal(path)
    assert "'__builtin__.getattr'" in said  # which gets Path.touch
    assert "state_dict()" in said
    assert not touched.exists()


def test_a_whole_module_is_refused_by_its_class(tmp_path: Path) -> None:
    said = refusal(saved(nn.Sequential(nn.Conv2d(3, 4, 3)), tmp_path / "file"))
    assert "torch.nn.modules.container.Sequential" in said


def test_a_plain_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(pickle.dumps({"weight": [1, 2, 3]}))
    assert "torch.save" in refusal(path)


def test_a_tensor_expanded_to_10_gb_is_refused(tmp_path: Path) -> None:
    huge = torch.zeros(1).expand(50_000, 50_000)
    said = refusal(saved({"fc.weight": huge}, tmp_path / "file"))
    assert "announces" in said


def test_one_storage_under_many_names_is_refused(tmp_path: Path) -> None:
    shared = torch.zeros(1000, 1000)
    said = refusal(saved({f"layer{n}.weight": shared for n in range(5000)}, tmp_path / "file"))
    assert "announces" in said


def compressed(path: Path) -> None:
    whole = path.with_suffix(".whole")
    torch.save({"fc.weight": torch.zeros(4000, 4000)}, whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry), zipfile.ZIP_DEFLATED)


def nested(path: Path) -> None:
    path.write_bytes(b"\x80\x02" + b"]" * (MOST_INSTRUCTIONS + 10) + b".")


def nested_in_an_archive(path: Path) -> None:
    whole = path.with_suffix(".whole")
    torch.save({}, whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.infolist():
            content = source.read(entry)
            if entry.filename.endswith("data.pkl"):
                content = b"\x80\x02" + b"]" * (MOST_INSTRUCTIONS + 10) + b"."
            target.writestr(entry.filename, content)


def announced(path: Path) -> None:
    """An old pickle whose storage says that it has 10 GB, and that ends before them."""
    torch.save({"fc.weight": torch.zeros(1234, 1)}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    small, large = pickle.dumps(1234, 2)[2:-1], pickle.dumps(2_500_000_000, 2)[2:-1]
    assert small in content
    path.write_bytes(content.replace(small, large))


def allocating(path: Path) -> None:
    """A pickle that calls what looks harmless: bytearray(2 GB)."""
    torch.save({}, path, _use_new_zipfile_serialization=False)
    header = path.read_bytes()
    call = b"\x80\x02cbuiltins\nbytearray\n" + pickle.dumps(2 * 10**9, 2)[2:-1] + b"\x85R."
    path.write_bytes(header.replace(pickle.dumps({}, 2), call, 1))


def two_directories(path: Path) -> None:
    """An archive in which torch finds other entries than Python: compressed ones."""
    compressed(path)
    content = path.read_bytes()
    end = content.rindex(b"PK\x05\x06")
    size, offset = (int.from_bytes(content[end + at : end + at + 4], "little") for at in (12, 16))
    harmless = path.with_suffix(".harmless")
    with zipfile.ZipFile(harmless, "w") as archive:
        entry = zipfile.ZipInfo("x")
        entry.comment = b" " * (size - 46 - 1)
        archive.writestr(entry, b"")
    other = harmless.read_bytes()
    start = other.index(b"PK\x01\x02")
    directory = other[start : other.rindex(b"PK\x05\x06")]
    assert len(directory) == size
    path.write_bytes(content[: offset + size] + directory + content[end:])


def object_of_an_old_file(instructions: bytes) -> Callable[[Path], None]:
    """Return what writes a file of before 1.6 with these instructions as its object."""

    def write(path: Path) -> None:
        torch.save({}, path, _use_new_zipfile_serialization=False)
        header = path.read_bytes()
        path.write_bytes(header.replace(pickle.dumps({}, 2), b"\x80\x02" + instructions + b".", 1))

    return write


NESTED_TUPLE = b")q\x00" + b"h\x00\x86q\x00" * 60  # t = (t, t), sixty times
COLLIDING = b"".join(
    pickle.dumps(number * (2**61 - 1), 2)[2:-1] + b"N" for number in range(1, 200_000)
)
ORDERED_DICTIONARY = b"ccollections\nOrderedDict\n"
SLOW = {
    "a key that is a nested tuple": b"}" + NESTED_TUPLE + b"Ns",
    "such keys, many at once": b"}(" + NESTED_TUPLE + b"Nu",
    "a call whose message would show one": NESTED_TUPLE + b")R",
    "a tuple in pairs": ORDERED_DICTIONARY + b"](" + NESTED_TUPLE + b"N\x86e\x85R",
    "a nested storage": b"X\x07\x00\x00\x00storageN" + NESTED_TUPLE + b"\x87Q",
    "keys of one hash": b"}(" + COLLIDING + b"u",
    "pairs of one hash": ORDERED_DICTIONARY
    + b"]("
    + b"".join(b"]" + pickle.dumps(n * (2**61 - 1), 2)[2:-1] + b"aNa" for n in range(1, 100_000))
    + b"e\x85R",
}


@pytest.mark.parametrize(
    "write",
    [
        *(compressed, nested, nested_in_an_archive, announced, allocating, two_directories),
        *(pytest.param(object_of_an_old_file(each), id=name) for name, each in SLOW.items()),
    ],
)
def test_a_file_that_asks_for_memory_or_time_is_refused_without_it(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "file"
    write(path)
    command = [sys.executable, "-c", READ_IN_LITTLE_MEMORY, str(path)]
    child = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert child.returncode == 2, child.stderr
    assert int(child.stdout.splitlines()[-1]) < 300  # MiB more than after the imports


READ_IN_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from core.errors import InputError
from core.networks.foreign import read

def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

before = most()
try:
    read(Path(sys.argv[1]))
except InputError as error:
    print(error)
    print(most() - before)
    sys.exit(2)
"""


@pytest.mark.parametrize("is_new", [True, False])
def test_a_file_cut_or_damaged_anywhere_is_refused_in_one_sentence(
    is_new: bool, tmp_path: Path
) -> None:
    path = saved(
        {"state_dict": network().tensors()},
        tmp_path / "file",
        _use_new_zipfile_serialization=is_new,
    )
    content = path.read_bytes()
    for place in range(0, len(content), len(content) // 40):
        path.write_bytes(content[:place])
        refusal(path)
    generator = torch.Generator().manual_seed(3)
    for place in torch.randint(min(len(content), 20_000), (60,), generator=generator).tolist():
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            recognised(path)  # a flipped bit in a weight is still a weight
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017 both outcomes are right


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "no file" in refusal(tmp_path / "pipe")


def test_shared_containers_are_looked_at_once(tmp_path: Path) -> None:
    content: dict[str, Any] = {"weight": torch.zeros(3, 3)}
    for _ in range(3):
        content = {f"key{number}": content for number in range(300)}
    assert refusal(saved(content, tmp_path / "file"))


@pytest.mark.parametrize(
    "content",
    [
        {"module." * 1000 + "weight": torch.zeros(3, 3)},
        [torch.zeros(3, 3)],
        {"epoch": 3},
        {},
        {1: torch.zeros(3, 3)},
        torch.zeros(3, 3),
        {"weight": torch.zeros(3, 3).to_sparse()},
        {"state_dict": {"fc.weight": torch.zeros(3, 3, dtype=torch.complex64)}},
        {"fc\x1b[2J.weight": torch.zeros(3, 3)},
    ],
)
def test_content_without_named_tensors_is_refused(content: Any, tmp_path: Path) -> None:
    assert refusal(saved(content, tmp_path / "file"))
