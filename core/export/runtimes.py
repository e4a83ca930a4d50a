"""Ways to run a network: to check exports here, and to time them elsewhere.

To add one, write functions that say what is missing and that load a network, and add a Runtime to
RUNTIMES. Nothing of them is imported before it is used.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from core.device import DTYPES
from core.errors import InputError, one_line
from core.export import extras, tensorrt, tracing
from core.export.sparse_rows import with_sparse_rows
from core.networks.inference import for_inference
from core.networks.network import Network

CPU = torch.device("cpu")
COMPILERS = ("g++", "clang++", "c++")


@dataclass(frozen=True, eq=False)
class Loaded:
    """A network that is ready to run."""

    run: Callable[[Tensor], Tensor]
    ran_on: str  # what really computes, such as "CPUExecutionProvider"

    def __call__(self, inputs: Tensor) -> Tensor:
        """Map normalised inputs, fp32 (N, colours, H, W) on any device, to logits in fp32.

        On a GPU the logits may be returned before they are computed: synchronise to time them.
        """
        with torch.inference_mode():
            return self.run(inputs)


@dataclass(frozen=True)
class Runtime:
    """A way to run a network.

    `missing` returns one sentence on what must be installed, or "". `load` takes the network, the
    precision, the number of threads (None for the usual; PyTorch's belong to the process, and stay
    as they are), the device and a batch of normalised inputs, fp32, of the usual size. It raises
    InputError if it cannot run the network.
    """

    name: str
    label: str
    package: str  # whose version matters
    precisions: tuple[str, ...]
    missing: Callable[[], str]
    load: Callable[[Network, str, int | None, torch.device, Tensor], Loaded]
    beside: str = ""  # what runs the unpruned network that it is compared with; "" for itself
    device: Callable[[torch.device], torch.device] = lambda device: device
    """Returns the device that it computes on, where that one is wanted."""


def load(
    runtime: Runtime,
    network: Network,
    example_batch: Tensor,
    precision: str = "fp32",
    threads: int | None = None,
    device: torch.device = CPU,
) -> Loaded:
    """Load a network in a runtime. Raises InputError for a precision or package it lacks."""
    if precision not in runtime.precisions:
        raise InputError(
            f"{runtime.label} runs networks in {' or '.join(runtime.precisions)} here, not in "
            f"{precision!r}."
        )
    if reason := runtime.missing():
        raise InputError(f"{runtime.label}: {reason}")
    device = runtime.device(device)
    try:
        loaded = runtime.load(network, precision, threads, device, example_batch)
        loaded(example_batch)  # some fail only when they run
    except InputError:
        raise
    except Exception as error:  # what others wrote can raise anything
        raise InputError(
            f"{runtime.label} cannot run this network here ({one_line(error)[:200]}): choose "
            "another runtime."
        ) from error
    return loaded


def _pytorch(
    network: Network, precision: str, _threads: int | None, device: torch.device, _: Tensor
) -> Loaded:
    """Run the network as evaluations do."""
    module = for_inference(network, device, precision)
    return Loaded(_in_precision(module, network, precision, device), device.type)


def _sparse_rows(
    network: Network, precision: str, _threads: int | None, device: torch.device, _: Tensor
) -> Loaded:
    """Run the network's weights as sparse matrices in PyTorch."""
    module = with_sparse_rows(for_inference(network, device, precision))
    return Loaded(_in_precision(module, network, precision, device), device.type)


def _compiled(
    network: Network,
    precision: str,
    _threads: int | None,
    device: torch.device,
    example_batch: Tensor,
) -> Loaded:
    """Run what torch.compile makes of the network; compile it for the example's batch size now."""
    # What was compiled before counts towards the number after which PyTorch silently runs a network
    # as it is; whatever is still used is compiled again.
    torch._dynamo.reset()
    module = torch.compile(for_inference(network, device, precision), dynamic=False)
    run = _in_precision(module, network, precision, device)
    try:
        with torch.inference_mode():
            run(example_batch)
    except Exception as error:  # a compiler that is missing or fails can raise anything
        raise InputError(
            f"torch.compile does not work here ({one_line(error)[:200]}): it needs a C++ compiler, "
            "such as g++."
        ) from error
    return Loaded(run, device.type)


def _in_precision(
    module: Callable[[Tensor], Tensor], network: Network, precision: str, device: torch.device
) -> Callable[[Tensor], Tensor]:
    dtype, memory_format = DTYPES[precision], network.memory_format

    def run(inputs: Tensor) -> Tensor:
        ready = inputs.to(device, dtype).contiguous(memory_format=memory_format)
        return module(ready).float()

    return run


def _on_cuda_or_cpu(device: torch.device) -> torch.device:
    """Return where ONNX Runtime computes: on CUDA only with the provider for it."""
    if device.type == "cuda" and not extras.missing(("onnxruntime",)):
        providers = extras.imported("onnxruntime").get_available_providers()
        if "CUDAExecutionProvider" in providers:
            return device
    return CPU


def _on_cpu(_: torch.device) -> torch.device:
    return CPU


def _without_compiler() -> str:
    if os.environ.get("CXX") or any(map(shutil.which, COMPILERS)):
        return ""
    return "there is no C++ compiler: install one, such as g++, then try again."


@lru_cache(maxsize=3)
def _onnx_of(network: Network) -> bytes:
    """Return a network as ONNX; kept, since a baseline is run beside one network after another."""
    return tracing.traced(network, normalise=False, properties={})


def _onnxruntime(
    network: Network, _precision: str, threads: int | None, device: torch.device, _: Tensor
) -> Loaded:
    """Run the ONNX file with the first provider that works: TensorRT, CUDA, CPU."""
    onnxruntime = extras.imported("onnxruntime")
    wanted = ["CPUExecutionProvider"]
    if device.type == "cuda":
        wanted = [tensorrt.PROVIDER, "CUDAExecutionProvider", *wanted]
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = threads or 0  # 0 means the usual number
    # Threads that wait in a loop would take the processor from the network that is timed beside.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        _onnx_of(network),
        options,
        providers=[each for each in wanted if each in onnxruntime.get_available_providers()],
    )

    def run(inputs: Tensor) -> Tensor:
        images = inputs.float().cpu().contiguous().numpy()
        return torch.from_numpy(session.run(None, {tracing.INPUT: images})[0])

    return Loaded(run, session.get_providers()[0])  # a provider that fails is left out of these


def _openvino(
    network: Network, precision: str, threads: int | None, _device: torch.device, _: Tensor
) -> Loaded:
    """Run the network with OpenVINO on the CPU."""
    core = extras.imported("openvino").Core()
    settings: dict[str, object] = {
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
        "PERFORMANCE_HINT": "LATENCY",
    }
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    model = core.read_model(_onnx_of(network))
    compiled = core.compile_model(model, "CPU", settings)

    def run(inputs: Tensor) -> Tensor:
        images = inputs.float().cpu().contiguous().numpy()
        return torch.from_numpy(compiled(images)[0].copy())

    precision_used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if precision_used != settings["INFERENCE_PRECISION_HINT"]:
        raise InputError(f"OpenVINO computes in {precision_used} here, not in {precision}.")
    return Loaded(run, f"{', '.join(compiled.get_property('EXECUTION_DEVICES'))} {precision_used}")


RUNTIMES: Mapping[str, Runtime] = {
    each.name: each
    for each in (
        Runtime("pytorch", "PyTorch", "torch", ("fp32", "bf16"), lambda: "", _pytorch),
        Runtime(
            *("csr", "PyTorch in sparse rows", "torch"),
            *(("fp32",), lambda: "", _sparse_rows),
            beside="pytorch",
        ),
        Runtime(
            "compile", "torch.compile", "torch", ("fp32", "bf16"), _without_compiler, _compiled
        ),
        Runtime(
            "onnxruntime",
            "ONNX Runtime",
            "onnxruntime",
            ("fp32",),
            lambda: extras.missing(("onnx", "onnxscript", "onnxruntime")),
            _onnxruntime,
            device=_on_cuda_or_cpu,
        ),
        Runtime(
            "openvino",
            "OpenVINO",
            "openvino",
            ("fp32", "bf16"),
            lambda: extras.missing(("onnx", "onnxscript", "openvino")),
            _openvino,
            device=_on_cpu,
        ),
    )
}
