"""Exported files compute what the network does, wherever they are loaded."""

import ast
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from core.data.dataset import DataSet
from core.data.normalisation import CIFAR10
from core.errors import InputError
from core.export import tracing
from core.export.bundle import export
from core.export.formats import WRITERS
from core.export.vocabulary import FORMATS
from core.networks import checkpoint
from core.networks.architectures import elsewhere
from core.networks.batch_norm import finished
from core.networks.fresh import Plan
from core.networks.network import Network
from core.networks.registry import ARCHITECTURES
from core.networks.signature import Signature
from core.pruning import prune
from core.specs.architecture import Architecture
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from tests.export.subjects import (
    narrow,
    run_elsewhere,
    run_onnx,
    same_logits,
    small_network,
    subject,
    write_all,
)
from tests.small_networks import random_vgg, randomise, recovered, wrap

pytestmark = pytest.mark.usefixtures("traced_in_this_process")

FORMS = [
    *map(Architecture, ARCHITECTURES),
    Architecture.of("resnet18", {"pool": "max"}),
    Architecture.of("resnet20", {"shortcut": "conv"}),
    Architecture.of("vgg11", {"head": "mlp"}),
]
DEEPER = {"resnet34", "resnet32", "resnet44", "resnet56", "vgg16"}
"""Those that another one is the same as, but for the number of blocks."""


def logits_of(network: Network, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = network.module(inputs)
    return logits


def test_each_format_is_described_and_written() -> None:
    assert WRITERS.keys() == FORMATS.keys()
    for name, format in FORMATS.items():
        assert format.sentence.endswith(".")
        assert name == name.lower()


# PyTorch


def test_python_files_build_every_architecture_elsewhere(tmp_path: Path) -> None:
    files, expected = [], []
    inputs = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for number, form in enumerate(FORMS):
        network = narrow(form)
        for ratio in (0.5,) if form.name in DEEPER else (0.0, 0.5, 0.95):
            pruned = prune(network, PruningSpec("channel", ratio)).network
            name = f"network_{number}_{100 * ratio:.0f}"
            made = WRITERS["torch"](subject(pruned), name)
            _, code = write_all(made.files, tmp_path)
            files.append(code)
            expected.append(logits_of(pruned, inputs))
    found = run_elsewhere(files, inputs, tmp_path)
    for file, logits, wanted in zip(files, found, expected, strict=True):
        assert same_logits(logits, wanted), file


def test_python_files_build_networks_of_libraries(tmp_path: Path) -> None:
    pytest.importorskip("timm")
    files, expected = [], []
    inputs = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for name in ("torchvision:googlenet", "timm:resnet10t", "timm:vit_tiny_patch16_224"):
        network = Plan(Signature(Architecture(name), 3, 64, CIFAR10)).build(seed=0)
        randomise(network.module, seed=1)
        pruned = prune(network, PruningSpec("channel", 0.5)).network
        made = WRITERS["torch"](subject(pruned), name.partition(":")[2])
        files.append(write_all(made.files, tmp_path)[1])
        expected.append(logits_of(pruned, inputs))
    for logits, wanted in zip(run_elsewhere(files, inputs, tmp_path), expected, strict=True):
        assert same_logits(logits, wanted)


def test_own_code_is_imported_by_its_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_network.py").write_text(
        "from torch import nn\n\n"
        "def build(num_classes):\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),\n"
        "                         nn.Linear(4, num_classes))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(elsewhere.OWN_CODE, "own_network:build")
    monkeypatch.delitem(sys.modules, "own_network", raising=False)
    network = Plan(Signature(Architecture("own_network:build"), 3, 8, CIFAR10)).build(seed=0)
    code = WRITERS["torch"](subject(network), "network").files["network.py"].decode()
    assert "from own_network import build\n" in code
    assert "    network = build(num_classes=3)\n" in code
    with pytest.raises(InputError, match=r"own_network\.py would hide"):
        WRITERS["torch"](subject(network), "own_network")


@pytest.mark.parametrize("name", ["torch", "torchvision", "json"])
def test_a_python_file_hides_no_module(name: str) -> None:
    with pytest.raises(InputError, match=f"{name}.py would hide a module"):
        WRITERS["torch"](subject(small_network()), name)


def test_the_python_file_says_what_the_network_takes() -> None:
    made = WRITERS["torch"](subject(small_network()), "network")
    tree = ast.parse(made.files["network.py"])
    constants = {
        each.targets[0].id: ast.literal_eval(each.value)
        for each in tree.body
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name)
    }
    assert constants == {
        "CLASSES": [f"class {number}" for number in range(10)],
        "IMAGE_SIZE": 8,
        "MEAN": list(CIFAR10.mean),
        "STD": list(CIFAR10.std),
    }
    assert {"torch", "torchvision.models", "pathlib"} == {
        each.module if isinstance(each, ast.ImportFrom) else each.names[0].name
        for each in tree.body
        if isinstance(each, ast.Import | ast.ImportFrom)
    }


# Every method and recovery


@pytest.mark.parametrize(
    ("spec", "recovery"),
    [
        (PruningSpec("fine", 0.5), Recovery()),
        (PruningSpec("channel", 0.5), Recovery("merge")),
        (PruningSpec("channel-mask", 0.5), Recovery("bn", 50)),
        (PruningSpec("hybrid", 0.5, rest_ratio=0.5), Recovery("reconstruct", 50)),
    ],
    ids=lambda each: each.method,
)
def test_what_pruning_and_recovery_make_comes_back(
    spec: PruningSpec, recovery: Recovery, digits: DataSet, tmp_path: Path
) -> None:
    baseline = narrow(Architecture("resnet18"), width=4)
    network = recovered(prune(baseline, spec), recovery, digits, "fp32", baseline)
    bundle = finished(export(subject(network), ["safetensors", "torch", "onnx"], "network"))
    assert set(bundle.checks) == {"safetensors", "torch", "onnx"}
    write_all(bundle.files, tmp_path)
    inputs = network.inputs(digits.test_images[:5])
    expected = logits_of(network, inputs)
    stored = torch.load(tmp_path / "network.pt", weights_only=True)
    for name, tensor in network.tensors().items():
        assert torch.equal(stored[name], tensor)
    assert same_logits(run_onnx(bundle.files["network.onnx"], inputs), expected)
    loaded = checkpoint.load(tmp_path / "network.safetensors").network
    halved = checkpoint.stored_tensors(network.module)
    for name, tensor in loaded.tensors().items():
        assert torch.equal(tensor, halved[name].to(tensor.dtype))


# ONNX and OpenVINO


@pytest.mark.parametrize(
    ("form", "ratio"),
    [
        (Architecture("resnet50"), 0.5),
        (Architecture.of("resnet18", {"pool": "max"}), 0.0),
        (Architecture("resnet20"), 0.95),
        (Architecture.of("resnet20", {"shortcut": "conv"}), 0.5),
        (Architecture.of("vgg11", {"head": "mlp"}), 0.95),
        (Architecture("mobilenet_v2"), 0.5),
    ],
    ids=str,
)
def test_onnx_has_the_operators_of_every_family(form: Architecture, ratio: float) -> None:
    network = prune(narrow(form), PruningSpec("channel", ratio)).network
    content = WRITERS["onnx"](subject(network), "network").files["network.onnx"]
    inputs = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert same_logits(run_onnx(content, inputs), logits_of(network, inputs))


def test_onnx_takes_batches_of_any_size_and_says_what_it_is() -> None:
    import onnx

    network = small_network()
    content = WRITERS["onnx"](subject(network), "network").files["network.onnx"]
    for size in (1, 3, 64):
        inputs = torch.randn(size, 3, 8, 8, generator=torch.Generator().manual_seed(size))
        assert same_logits(run_onnx(content, inputs), logits_of(network, inputs))
    model = onnx.load_from_string(content)
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    said = {each.key: each.value for each in model.metadata_props}
    assert said["description"] == '"ResNet-18"'
    assert str(Path(tracing.__file__).parent).encode() not in content  # no path of this machine
    assert b".py" not in content


def test_normalisation_inside_equals_normalisation_outside() -> None:
    network = wrap(random_vgg())
    outside, inside = (subject(network, normalise) for normalise in (False, True))
    pixels = inside.images.float() / 255
    for name in ("onnx", "openvino"):
        made = [WRITERS[name](each, "network") for each in (outside, inside)]
        assert all("right about" in each.check for each in made)
    expected = run_onnx(outside.onnx, network.inputs(inside.images))
    assert same_logits(run_onnx(inside.onnx, pixels), expected)
    assert same_logits(expected, logits_of(network, network.inputs(inside.images)))


@pytest.mark.parametrize("name", ["onnx", "openvino"])
@pytest.mark.parametrize("scale", [1.01, float("nan")])
def test_a_file_that_computes_something_else_is_refused(
    name: str, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = tracing.exported_elsewhere

    def broken(module: nn.Module, *rest: object) -> bytes:
        last = next(each for each in reversed(list(module.modules())) if hasattr(each, "weight"))
        with torch.no_grad():
            last.get_parameter("weight").mul_(scale)
        return works(module, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(tracing, "exported_elsewhere", broken)
    with pytest.raises(InputError, match=r"Nothing was written: in .* differ from PyTorch") as said:
        WRITERS[name](subject(wrap(random_vgg())), "network")
    assert "\n" not in str(said.value)


def test_a_network_that_cannot_be_traced_is_refused_in_one_sentence() -> None:
    class Asking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3 * 8 * 8, 10)

        def forward(self, x: Tensor) -> Tensor:
            if x.numel() and not x.is_meta and float(x.sum()) > 1e9:
                x = -x
            logits: Tensor = self.fc(x.flatten(1))
            return logits

    with pytest.raises(InputError, match="cannot be written as ONNX") as said:
        tracing.exported(Asking().eval(), (1, 3, 8, 8), {})
    assert "\n" not in str(said.value)
