"""Networks that other code trained become baselines."""

import hashlib
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core import paths
from core.baselines.importing import LONGEST_NAME, Imported, ImportRequest, import_baseline
from core.baselines.shelf import available
from core.baselines.trying import Trying, best_network
from core.data.dataset import DataSet, subset_indices
from core.data.normalisation import KNOWN, Normalisation
from core.errors import InputError
from core.measuring.evaluation import evaluate_fully
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint
from core.networks.foreign import Fitted
from core.specs.architecture import Architecture
from tests.environment import needed_in_ci


@pytest.fixture(autouse=True)
def own_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "checkpoints"
    monkeypatch.setattr(paths, "CHECKPOINTS", folder)
    return folder


def imported(request: ImportRequest, **options: Any) -> Imported:
    *events, last = import_baseline(request, **options)
    assert all(isinstance(event, Trying) for event in events)
    assert isinstance(last, Imported)
    return last


@pytest.fixture
def file(trained: Checkpoint, tmp_path: Path) -> Path:
    """The small network of the digits as another project would have saved it."""
    tensors = {f"module.{name}": each for name, each in trained.network.tensors().items()}
    path = tmp_path / "Last year's paper (final).pth"
    torch.save({"state_dict": tensors, "epoch": 2}, path)
    return path


def test_an_imported_network_is_a_baseline(
    file: Path, digits: DataSet, trained: Checkpoint, own_checkpoints: Path
) -> None:
    found = imported(ImportRequest(file, digits, normalisation=trained.signature.normalisation))
    assert found.checkpoint.fingerprint == trained.fingerprint
    assert found.checkpoint.signature == trained.signature
    accuracy = found.checkpoint.metadata["accuracy"]
    measured = evaluate_fully(trained.network, digits.test_images, digits.test_labels)
    assert (accuracy["correct"], accuracy["seen"]) == (measured.correct, measured.seen)
    assert available("digits", own_checkpoints) == [found.checkpoint.path]
    said = found.checkpoint.metadata["imported"]
    assert said["file"] == file.name
    assert said["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert said["said"] == {"epoch": 2.0}
    assert "Dropped module. from the names." in said["notes"]


def test_the_normalisation_is_found_on_training_images(
    file: Path, digits: DataSet, trained: Checkpoint
) -> None:
    chosen = subset_indices(digits.train_labels, 1000)
    blind = replace(digits, test_images=torch.zeros_like(digits.test_images))
    found = imported(ImportRequest(file, blind))
    assert {each.name for each in found.tried} == set(KNOWN)
    for each in found.tried:
        signature = replace(trained.signature, normalisation=each.normalisation)
        measured = evaluate_fully(
            replace(trained.network, signature=signature),
            digits.train_images[chosen],
            digits.train_labels[chosen],
        )
        assert (each.correct, each.seen) == (measured.correct, measured.seen)
    best = next(each for each in found.tried if each.is_best)
    assert best.correct == max(each.correct for each in found.tried)
    assert not best.can_be_told_apart
    assert found.checkpoint.signature.normalisation == best.normalisation
    far = next(each for each in found.tried if each.name == "none, 0 to 255")
    assert far.can_be_told_apart


def test_a_given_normalisation_is_taken_as_it_is(file: Path, digits: DataSet) -> None:
    given = Normalisation((0.3, 0.4, 0.5), (0.2, 0.2, 0.3))
    found = imported(ImportRequest(file, digits, normalisation=given))
    assert found.tried == ()
    assert checkpoint.load(found.checkpoint.path).signature.normalisation == given


@pytest.mark.parametrize("name", ["", "../outside", "a/b", ".hidden", "two words", "a\n"])
def test_a_name_that_is_no_file_name_is_refused(name: str, file: Path, digits: DataSet) -> None:
    with pytest.raises(InputError, match="name has up to 100 letters"):
        imported(ImportRequest(file, digits, name=name))


def test_a_baseline_is_replaced_only_when_asked(file: Path, digits: DataSet) -> None:
    request = ImportRequest(file, digits, normalisation=KNOWN["CIFAR-10"], name="mine")
    first = imported(request).checkpoint.path
    written = first.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        imported(request)
    assert first.read_bytes() == written
    other = replace(request, normalisation=KNOWN["ImageNet"])
    assert imported(other, overwrite=True).checkpoint.path == first
    assert first.read_bytes() != written


def test_classes_in_another_order_are_refused(
    file: Path, digits: DataSet, trained: Checkpoint, own_checkpoints: Path
) -> None:
    tensors = trained.network.tensors()
    order = torch.tensor([3, 0, 1, 2, 9, 4, 5, 6, 7, 8])
    turned = {**tensors, **{n: tensors[n][order] for n in ("fc.weight", "fc.bias")}}
    torch.save(turned, file)
    with pytest.raises(InputError, match=r"0 is its class 1, 1 is its class 2, 2 is its class 3"):
        imported(ImportRequest(file, digits, normalisation=trained.signature.normalisation))
    assert not list(own_checkpoints.rglob("*.safetensors"))


def test_a_network_of_other_images_is_imported_and_said(file: Path, digits: DataSet) -> None:
    order = torch.randperm(len(digits.train_labels), generator=torch.Generator().manual_seed(0))
    shuffled = replace(digits, train_labels=digits.train_labels[order])
    found = imported(ImportRequest(file, shuffled, normalisation=KNOWN["CIFAR-10"]))
    assert any("not told apart from guessing" in note for note in found.notes)


def test_another_number_of_classes_is_refused(file: Path, digits: DataSet) -> None:
    two = replace(digits, class_names=digits.class_names[:2])
    with pytest.raises(InputError, match="10 classes apart"):
        imported(ImportRequest(file, two))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("os:system", "only run if you name it"),
        ("torchvision:nothing", "has no classification model"),
        ("resnet19", "There is no architecture"),
    ],
)
def test_a_network_that_cannot_be_built_is_said(
    name: str, said: str, file: Path, digits: DataSet
) -> None:
    with pytest.raises(InputError, match=said):
        imported(ImportRequest(file, digits, Architecture(name)))


def test_a_long_file_name_makes_a_name_that_fits(file: Path, digits: DataSet) -> None:
    long = file.rename(file.with_name("x" * 200 + ".pth"))
    found = imported(ImportRequest(long, digits, normalisation=KNOWN["CIFAR-10"]))
    assert len(found.checkpoint.path.stem) == LONGEST_NAME
    with pytest.raises(InputError, match="name has up to 100 letters"):
        imported(ImportRequest(long, digits, name="ё" * 120))


def test_of_networks_with_the_same_tensors_the_one_that_is_right_is_taken(
    trained: Checkpoint, digits: DataSet
) -> None:
    right = Fitted(trained.network, (), {})
    pooled = Architecture.of("resnet18", {"pool": "max"})
    signature = replace(trained.signature, architecture=pooled)
    other = Fitted(checkpoint.assemble(signature, trained.network.tensors()), (), {})
    for fits in ([right, other], [other, right]):
        *events, last = iterate(best_network(fits, digits, torch.device("cpu")))
        assert [event.done for event in events] == [0, 1]
        taken, notes = last
        assert taken is right
        assert 'resnet18 (pool="max") is right about' in notes[0]
        assert notes[0].endswith("Taken: resnet18.")


def iterate(generator: Generator[Any, None, Any]) -> Iterator[Any]:
    """Yield what a generator yields, and then what it returns."""
    yield (yield from generator)


@pytest.mark.parametrize("scale", [100, 1])
def test_less_than_the_file_states_is_said(
    scale: float, file: Path, digits: DataSet, trained: Checkpoint
) -> None:
    measured = evaluate_fully(trained.network, digits.train_images, digits.train_labels)
    stated = scale * measured.correct / measured.seen
    torch.save({"net": trained.network.tensors(), "acc": stated, "epoch": 200}, file)
    request = ImportRequest(file, digits, normalisation=trained.signature.normalisation)
    assert not any("states" in note for note in imported(request).notes)
    labels = digits.train_labels.clone()
    labels[::5] = (labels[::5] + 1) % 10
    noisy = replace(request, dataset=replace(digits, train_labels=labels), name="noisy")
    said = next(note for note in imported(noisy).notes if "states" in note)
    assert said.startswith(f"The file states acc {stated:.4g}, but it is right about only ")


def test_another_entry_is_taken_when_asked_for(
    file: Path, digits: DataSet, trained: Checkpoint
) -> None:
    tensors = trained.network.tensors()
    averaged = {
        name: each * 2 if each.is_floating_point() else each for name, each in tensors.items()
    }
    torch.save({"model": averaged, "model_ema": tensors}, file)
    given = ImportRequest(file, digits, normalisation=trained.signature.normalisation)
    first = imported(replace(given, name="first"))
    assert "Not taken were those under model_ema." in first.notes
    assert first.checkpoint.fingerprint != trained.fingerprint
    second = imported(replace(given, entry="model_ema", name="second"))
    assert second.checkpoint.fingerprint == trained.fingerprint
    with pytest.raises(InputError, match=r"under 'ema', but under model, model_ema\.$"):
        imported(replace(given, entry="ema"))


class Block(nn.Module):
    """A block of akamaster's ResNet-20, written here again from its description."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.stride = outputs // inputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, self.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            quarter = y.shape[1] // 4
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter))
        return F.relu(y + x)


class PlainResNet20(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        widths = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
        blocks = [Block(*pair) for pair in pairwise(widths)]
        self.layer1, self.layer2 = nn.Sequential(*blocks[:3]), nn.Sequential(*blocks[3:6])
        self.layer3, self.linear = nn.Sequential(*blocks[6:]), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x))).mean((2, 3))
        logits: Tensor = self.linear(x)
        return logits


def akamaster_like(path: Path) -> dict[str, Tensor]:
    """Write random weights as akamaster's file has them, and return them by plain names."""
    module = PlainResNet20()
    generator = torch.Generator().manual_seed(4)
    for tensor in [*module.parameters(), *module.buffers()]:
        if tensor.is_floating_point():
            tensor.data.uniform_(0.1, 0.4, generator=generator).sub_(0.1 * (tensor.ndim > 1))
    tensors = {name: each for name, each in module.state_dict().items() if each.ndim}
    content = {"state_dict": {f"module.{n}": t for n, t in tensors.items()}, "best_prec1": 91.7}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return tensors


def published(path: Path) -> dict[str, Tensor]:
    """Copy akamaster's published file, and return its tensors by plain names."""
    folder = os.environ.get("PUBLISHED_CHECKPOINTS")
    if folder is None:
        needed_in_ci("Set PUBLISHED_CHECKPOINTS to a folder with akamaster's resnet20-12fca82f.th.")
    path.write_bytes((Path(folder) / "resnet20-12fca82f.th").read_bytes())
    stored = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    return {name.removeprefix("module."): tensor for name, tensor in stored.items()}


@pytest.mark.parametrize("write", [akamaster_like, published])
def test_an_imported_resnet20_computes_what_a_plain_module_does(
    write: Callable[[Path], dict[str, Tensor]], digits: DataSet, tmp_path: Path
) -> None:
    path = tmp_path / "resnet20.th"
    plain = PlainResNet20().double().eval()
    plain.load_state_dict(write(path), strict=False)
    imagenet = KNOWN["ImageNet"]
    found = imported(ImportRequest(path, digits, normalisation=imagenet)).checkpoint
    assert found.signature.architecture == Architecture("resnet20")
    for name, layer in plain.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):  # the file keeps these in fp16
            assert name
            for tensor in layer.parameters():
                tensor.data = tensor.data.half().double()
    images = digits.test_images[:8]
    with torch.no_grad():
        expected = plain(imagenet.apply(images).double())
        logits = found.network.module.double()(found.network.inputs(images, torch.float64))
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-9)
