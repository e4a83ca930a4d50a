"""A checkpoint comes back as it was saved, and nothing else is taken for one."""

import json
import math
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from core.networks import checkpoint
from core.networks.checkpoint import CheckpointError
from core.networks.fresh import initialise
from core.networks.network import Network
from tests.small_networks import (
    Widths,
    new_network,
    resnet,
    resnet_shapes,
    same_state,
    widths_of,
    wrap,
)

NARROW = Widths.regular(2)
UNEVEN = Widths((3, 5, 4, 9), (1, 2, 3, 4, 5, 6, 7, 8))
METADATA = {
    "kind": "baseline",
    "epochs": 2,
    "seed": 3,
    "held_out": 0,
    "recipe": {"epochs": 2},
    "history": {"curve": [[0.5, 2.25]]},
    "data": {"source": "digits", "fingerprint": "0123456789abcdef"},
    "accuracy": {"correct": 7, "seen": 10},
    "note": "γ × 2",
}


def some_network(widths: Widths = NARROW, seed: int = 0) -> Network:
    """With every tensor away from what it starts as."""
    model = wrap(resnet(widths), 32)
    initialise(model.module, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.module.state_dict().items():
            if name.endswith("num_batches_tracked"):
                tensor.fill_(12_345)
            else:
                tensor.add_(torch.rand(tensor.shape, generator=generator))
    return model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good checkpoint, alone in its folder."""
    path = tmp_path / "network.safetensors"
    checkpoint.save(some_network(), path, "digits", METADATA)
    return path


def refusal(path: Path, dataset: str | None = None) -> str:
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(path, dataset)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    assert text.endswith(".")
    return text


# Coming back


@pytest.mark.parametrize("widths", [NARROW, UNEVEN], ids=["regular", "pruned"])
def test_a_network_comes_back_with_weights_rounded_to_fp16_and_batch_norm_exact(
    widths: Widths, tmp_path: Path
) -> None:
    model = some_network(widths)
    checkpoint.save(model, tmp_path / "file", "digits", {})
    loaded = checkpoint.load(tmp_path / "file").network
    assert widths_of(loaded.module) == widths
    norms = [
        name for name, module in model.module.named_modules() if isinstance(module, nn.BatchNorm2d)
    ]
    for name, tensor in loaded.module.state_dict().items():
        expected = model.module.state_dict()[name]
        if name.rpartition(".")[0] not in norms:
            expected = expected.half().float()
        assert tensor.dtype == expected.dtype
        assert torch.equal(tensor, expected), name


def test_weights_are_fp16_in_the_file_and_batch_norm_fp32(path: Path) -> None:
    types = {name: tensor.dtype for name, tensor in load_file(path).items()}
    assert types["layer1.0.conv1.weight"] == types["fc.bias"] == torch.float16
    assert types["bn1.weight"] == types["layer2.0.downsample.1.running_var"] == torch.float32
    assert types["bn1.num_batches_tracked"] == torch.int64


def test_a_loaded_network_is_for_inference_and_free_of_its_file(path: Path) -> None:
    model = checkpoint.load(path).network
    assert not any(module.training for module in model.module.modules())
    assert not any(parameter.requires_grad for parameter in model.module.parameters())
    logits = model.module(torch.ones(1, 3, 32, 32))
    path.write_bytes(b"\0" * path.stat().st_size)  # the very bytes, not a new file
    assert torch.equal(model.module(torch.ones(1, 3, 32, 32)), logits)


def test_metadata_comes_back_and_cannot_be_changed(path: Path) -> None:
    loaded = checkpoint.load(path, "digits")
    assert loaded.dataset == "digits"
    assert loaded.path == path
    assert {name: loaded.metadata[name] for name in METADATA} == METADATA
    assert checkpoint.read_metadata(path) == dict(loaded.metadata)
    with pytest.raises(TypeError):
        loaded.metadata["seed"] = 4  # type: ignore[index]


def test_saving_does_not_touch_the_network(tmp_path: Path) -> None:
    model = some_network()
    model.module.train()
    before = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}
    checkpoint.save(model, tmp_path / "file", "digits", {})
    assert model.module.training
    for name, tensor in model.module.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_a_network_saved_with_anothers_metadata_says_its_own_widths(path: Path) -> None:
    theirs = checkpoint.load(path).metadata
    checkpoint.save(some_network(UNEVEN), path, "cifar10", theirs, overwrite=True)
    loaded = checkpoint.load(path, "cifar10")
    assert widths_of(loaded.network.module) == UNEVEN
    assert loaded.metadata["note"] == METADATA["note"]


def test_the_fingerprint_is_of_the_tensors_whatever_else_the_file_says(tmp_path: Path) -> None:
    def fingerprint(model: Network, dataset: str, metadata: dict[str, Any]) -> str:
        checkpoint.save(model, tmp_path / "file", dataset, metadata, overwrite=True)
        return checkpoint.load(tmp_path / "file").fingerprint

    model = some_network()
    first = fingerprint(model, "digits", {"seed": 0})
    assert fingerprint(model, "cifar10", {"seed": 1, "note": "other"}) == first
    assert len(first) == 16
    seen = {first}
    for name in ("conv1.weight", "fc.bias", "bn1.running_mean", "layer4.1.bn2.weight"):
        other = some_network()
        with torch.no_grad():
            other.module.state_dict()[name].view(-1)[-1] += 1
        seen.add(fingerprint(other, "digits", {"seed": 0}))
    assert len(seen) == 5


# Writing


def test_a_file_is_not_overwritten_without_being_asked(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=r"exists already\. .+\.$"):
        checkpoint.save(some_network(seed=1), path, "digits", {})
    assert path.read_bytes() == before
    checkpoint.save(some_network(seed=1), path, "digits", {}, overwrite=True)
    assert path.read_bytes() != before
    checkpoint.load(path)


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failure_while_writing_leaves_the_previous_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(CheckpointError, match="No space left on device"):
        checkpoint.save(some_network(seed=1), path, "digits", {}, overwrite=True)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("conv1.weight", 1e5),
        ("fc.bias", -7e4),
        ("conv1.weight", math.nan),
        ("bn1.running_var", math.inf),
    ],
)
def test_numbers_that_the_file_cannot_hold_are_refused_before_writing(
    tmp_path: Path, name: str, value: float
) -> None:
    network = some_network()
    network.module.state_dict()[name].view(-1)[0] = value
    with pytest.raises(CheckpointError, match=f"not written: {name}"):
        checkpoint.save(network, tmp_path / "file", "digits", {})
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"cannot be written .+\.$"):
        checkpoint.save(some_network(), tmp_path / "file" / "inside", "digits", {})


# Refusing


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "There is no checkpoint" in refusal(tmp_path / "nowhere.safetensors")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "cannot be read (Is a directory)" in refusal(tmp_path)


def test_a_file_whose_header_is_as_long_as_a_pickle_begins_is_a_truncated_one(path: Path) -> None:
    header = b"{" + b" " * 0x27F
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    assert path.read_bytes().startswith(b"\x80\x02")
    assert "truncated" in refusal(path)


def test_a_truncated_file_is_refused(path: Path) -> None:
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for length in (0, 1, 7, 8, 9, header - 1, header, header + 1, len(content) - 1):
        path.write_bytes(content[:length])
        assert "truncated" in refusal(path), length


def test_a_file_with_something_behind_it_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")
    refusal(path)


def write_zip(path: Path) -> None:
    torch.save(some_network().module.state_dict(), path)


def write_plain_pickle(protocol: int, path: Path) -> None:
    path.write_bytes(pickle.dumps({"weights": [1.0] * 100}, protocol))


def write_old_pickle(path: Path) -> None:
    torch.save(some_network().module.state_dict(), path, _use_new_zipfile_serialization=False)


def write_hdf5(path: Path) -> None:
    path.write_bytes(bytes.fromhex("894844460d0a1a0a") + bytes(2000))


def write_text(path: Path) -> None:
    path.write_text("The weights are elsewhere.")


def write_page(path: Path) -> None:
    path.write_text("<!DOCTYPE html><title>Please sign in</title>")


@pytest.mark.parametrize(
    ("write", "kind"),
    [
        (write_zip, "but a zip archive, as torch.save writes them"),
        (write_old_pickle, "but a pickle, as older versions of PyTorch wrote them"),
        *((partial(write_plain_pickle, protocol), "but a pickle") for protocol in range(2, 6)),
        (write_hdf5, "but an HDF5 file"),
        (write_text, "is no safetensors file: choose"),
        (write_page, "is no safetensors file: choose"),
    ],
)
def test_a_file_of_another_kind_is_called_what_it_is(
    tmp_path: Path, write: Callable[[Path], None], kind: str
) -> None:
    path = tmp_path / "weights.pth"
    write(path)
    text = refusal(path)
    assert kind in text
    assert "truncated" not in text
    assert "Get it again" not in text


def rewritten(path: Path, tensors: dict[str, Tensor] | None = None, **header: Any) -> None:
    """Write the checkpoint again with other tensors, or with other entries in its header."""
    metadata: dict[str, Any] = checkpoint.read_metadata(path) | header
    save_file(
        load_file(path) if tensors is None else tensors,
        path,
        {name: json.dumps(value) for name, value in metadata.items() if value is not ...},
    )


def test_a_rewritten_file_is_as_good(path: Path) -> None:
    """So that it is not the rewriting for which the following files are refused."""
    before = checkpoint.load(path, "digits")
    rewritten(path)
    after = checkpoint.load(path, "digits")
    assert same_state(after.network.tensors(), before.network.tensors())
    assert after.metadata == before.metadata


def test_a_foreign_safetensors_file_is_refused(path: Path) -> None:
    save_file({"weight": torch.ones(2)}, path)
    assert "no checkpoint of this project" in refusal(path)


@pytest.mark.parametrize("entry", ["format", "architecture"])
@pytest.mark.parametrize("value", ["other", None, ["pruning-explorer-1"], ...])
def test_another_format_or_architecture_is_refused(path: Path, entry: str, value: Any) -> None:
    rewritten(path, **{entry: value})
    text = refusal(path)
    assert {"format": "no checkpoint of this project", "architecture": "rchitecture"}[entry] in text


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        *((entry, None) for entry in ("epochs", "seed", "held_out", "recipe", "history")),
        ("accuracy", ...),
        ("accuracy", 0.9),
        ("accuracy", {"correct": 9}),
        ("accuracy", {"correct": 9, "seen": 8}),
        ("accuracy", {"correct": 0, "seen": 0}),
        ("accuracy", {"correct": "9", "seen": 10}),
        ("data", ...),
        ("data", {"fingerprint": 1}),
        ("started_from", 5),
        ("started_from", {"fingerprint": "0123"}),
        ("started_from", {"fingerprint": "0123", "epochs": "5"}),
        ("started_from", {"fingerprint": "0123", "epochs": 5, "recipe": "sgd"}),
        ("started_from", {"fingerprint": "0123", "epochs": 5, "started_from": "4567"}),
        ("teachers", "0123"),
        ("teachers", [5]),
    ],
    ids=str,
)
def test_a_baseline_that_says_too_little_of_itself_is_refused(
    path: Path, entry: str, value: Any
) -> None:
    rewritten(path, **{entry: value})
    assert f"no usable {entry}" in refusal(path)


@pytest.mark.parametrize("entry", ["epochs", "seed", "held_out", "recipe", "history"])
def test_a_baseline_may_leave_out_how_it_was_trained(path: Path, entry: str) -> None:
    left_out: Any = ...
    rewritten(path, **{entry: left_out})
    assert entry not in checkpoint.load(path).metadata


@pytest.mark.parametrize("raw", ["", "{", "[" * 100_000, "9" * 5_000], ids=lambda raw: raw[:2])
def test_metadata_that_is_no_json_is_refused(path: Path, raw: str) -> None:
    save_file(load_file(path), path, {"format": '"pruning-explorer-1"', "architecture": raw})
    assert "no checkpoint of this project" in refusal(path)


def test_another_data_set_is_refused(path: Path) -> None:
    assert "was trained on 'digits', not on 'cifar10'" in refusal(path, "cifar10")


def test_a_missing_tensor_is_named(path: Path) -> None:
    tensors = load_file(path)
    del tensors["layer3.1.bn1.running_var"]
    rewritten(path, tensors)
    assert "layer3.1.bn1.running_var" in refusal(path)


def test_an_extra_tensor_is_named(path: Path) -> None:
    rewritten(path, load_file(path) | {"layer5.weight": torch.ones(1)})
    assert "layer5.weight" in refusal(path)


def test_a_tensor_of_another_shape_is_named(path: Path) -> None:
    rewritten(path, load_file(path) | {"fc.bias": torch.ones(9)})
    assert "fc.bias" in refusal(path)


def test_tensors_of_other_widths_are_refused(path: Path) -> None:
    shapes = resnet_shapes(Widths.regular(3))
    rewritten(
        path,
        load_file(path) | {"layer1.0.conv1.weight": torch.ones(shapes["layer1.0.conv1.weight"])},
    )
    assert "does not hold the network" in refusal(path)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", ["conv1.weight", "fc.bias", "layer2.0.bn1.running_mean"])
def test_weights_that_are_not_finite_are_refused(path: Path, name: str, value: float) -> None:
    tensors = load_file(path)
    tensors[name].view(-1)[0] = value
    rewritten(path, tensors)
    assert "not finite" in refusal(path)


def test_weights_beyond_fp32_are_refused(path: Path) -> None:
    rewritten(path, load_file(path) | {"fc.bias": torch.full((10,), 1e300, dtype=torch.float64)})
    assert "not finite" in refusal(path)


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
@pytest.mark.parametrize(
    ("entry", "value"),
    [
        *product(("classes", "image_size"), (10**8, 10**19, 10**400, 0, -1, "9", 9.5, True, None)),
        ("classes", 11),
        ("image_size", 1025),
        *product(("mean", "std"), ([], [0.5] * 4, [0.5, 0.5, "x"], 0.5, [1e300] * 3, None)),
        ("std", [0.5, 0.0, 0.5]),
    ],
    ids=str,
)
def test_hostile_descriptions_are_refused_without_taking_memory(
    path: Path, entry: str, value: Any
) -> None:
    rewritten(path, **{"mean": [0.5] * 3, "std": [0.5] * 3, entry: value})
    with at_most(path.stat().st_size):
        assert "does not hold the network" in refusal(path)


class _LargestTensor(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the largest tensor that any operation makes."""

    bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.device.type != "meta":
            self.bytes = max(self.bytes, result.nbytes)
        return result


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Fails where a tensor of more bytes is made in the block."""
    with _LargestTensor() as largest:  # type: ignore[no-untyped-call]
        yield
    assert largest.bytes <= size


def test_the_memory_guard_sees_a_network_being_built() -> None:
    with _LargestTensor() as largest:  # type: ignore[no-untyped-call]
        new_network(16)
    assert largest.bytes == 128 * 128 * 9 * 4


def test_a_copy_of_the_file_is_the_same_checkpoint(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    first, second = checkpoint.load(path), checkpoint.load(path.with_name("copy"))
    assert first.fingerprint == second.fingerprint
