"""Every runtime computes what the network does."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core.errors import InputError
from core.export import tensorrt
from core.export.runtimes import RUNTIMES, load
from core.pruning import Pruner
from core.specs.pruning import PruningSpec
from tests.export.subjects import small_network
from tests.small_networks import images

pytestmark = pytest.mark.usefixtures("traced_in_this_process")

TOLERANCES = {"fp32": 1e-4, "bf16": 0.1}


@pytest.mark.parametrize(
    ("name", "precision"),
    [(name, "fp32") for name in RUNTIMES] + [("pytorch", "bf16"), ("openvino", "bf16")],
)
def test_a_runtime_gives_the_logits_of_the_network(name: str, precision: str) -> None:
    runtime, network, inputs = RUNTIMES[name], small_network(), images(number=4)
    if reason := runtime.missing():
        pytest.skip(reason)
    threads = torch.get_num_threads()
    loaded = load(runtime, network, inputs, precision, threads=threads)
    with torch.no_grad():
        expected = network.module(inputs)
    for some in (inputs, inputs[:1]):
        logits = loaded(some)
        assert logits.dtype == torch.float32
        error = (logits - expected[: len(some)]).abs().max()
        assert error <= TOLERANCES[precision] * expected.abs().max()
    assert loaded.ran_on


def test_the_object_says_what_really_runs() -> None:
    pytest.importorskip("onnxruntime")
    loaded = load(RUNTIMES["onnxruntime"], small_network(), images())
    assert loaded.ran_on == "CPUExecutionProvider"


def test_what_a_runtime_cannot_do_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="ONNX Runtime runs networks in fp32 here, not in 'bf16'"):
        load(RUNTIMES["onnxruntime"], small_network(), images(), "bf16")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(InputError, match="OpenVINO: openvino is not installed: pip install -r"):
        load(RUNTIMES["openvino"], small_network(), images())
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert "no C++ compiler" in RUNTIMES["compile"].missing()


def test_a_compiler_that_fails_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> object:
        def run(_: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("CppCompileError:\n  no such file")

        return run

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(InputError, match=r"torch\.compile does not work here") as said:
        load(RUNTIMES["compile"], small_network(), images())
    assert "\n" not in str(said.value)


def test_optional_packages_are_imported_when_they_are_used() -> None:
    code = (
        "import sys, core.export.runtimes, core.export.bundle, core.export.card\n"
        "sys.exit(bool({'onnx', 'onnxscript', 'onnxruntime', 'openvino'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


# TensorRT


def test_the_command_says_the_shapes() -> None:
    command = tensorrt.command_text(Path("a folder/net.onnx"), small_network().signature, usual=8)
    assert command == (
        "trtexec '--onnx=a folder/net.onnx' '--saveEngine=a folder/net.engine' "
        "--minShapes=images:1x3x8x8 --optShapes=images:8x3x8x8 --maxShapes=images:256x3x8x8"
    )


def stand_in(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put an executable called trtexec on the path."""
    file = folder / "trtexec"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_an_engine_is_built_where_there_is_tensorrt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx_file, signature = tmp_path / "net.onnx", small_network().signature
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "trtexec" not in tensorrt.ways()
    with pytest.raises(InputError, match="trtexec is not on this machine"):
        tensorrt.build_engine(onnx_file, signature)
    write = 'for each; do case $each in --saveEngine=*) echo built > "${each#*=}";; esac; done'
    stand_in(tmp_path, write, monkeypatch)
    assert "trtexec" in tensorrt.ways()
    assert tensorrt.build_engine(onnx_file, signature).read_text() == "built\n"
    stand_in(tmp_path, f"{write}; echo 'no parser' >&2; exit 1", monkeypatch)
    with pytest.raises(InputError, match=r"trtexec failed \(no parser\)"):
        tensorrt.build_engine(onnx_file, signature)
    assert not (tmp_path / "net.engine").exists()


def test_every_network_is_compiled_however_many_there_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled: list[object] = []

    def backend(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> object:
        compiled.append(graph)
        return graph.forward

    original = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda module, **options: original(module, backend=backend, **options)
    )
    network = small_network()
    pruner = Pruner(network)
    for step in range(10):  # PyTorch gives up after 8 of one class
        pruned = pruner.prune(PruningSpec("channel", step / 20)).network
        load(RUNTIMES["compile"], pruned, images())
    assert len(compiled) >= 10


def test_each_runtime_says_what_it_computes_on() -> None:
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    assert RUNTIMES["openvino"].device(cuda) == cpu
    assert RUNTIMES["onnxruntime"].device(cuda) == cpu  # with the package for processors alone
    assert RUNTIMES["pytorch"].device(cuda) == cuda


def test_whatever_a_runtime_raises_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> object:
        raise RuntimeError("Could not run aten::addmm\nwith arguments from SparseCsrMPS")

    monkeypatch.setattr("core.export.runtimes.with_sparse_rows", broken)
    with pytest.raises(InputError, match=r"sparse rows cannot run this network here \(.*Could not"):
        load(RUNTIMES["csr"], small_network(), images())
