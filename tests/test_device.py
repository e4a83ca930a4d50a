"""Which device and precision are chosen, on machines that are faked."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from core.device import best_device, has_native_bf16, resolve_device, resolve_precision
from core.errors import InputError

Machine = Callable[..., None]
TF32_FLAGS: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.cuda.matmul)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Fakes what PyTorch says of the machine; as a bare one it has only a CPU."""

    def fake(
        cuda: bool = False,
        mps: bool = False,
        capability: tuple[int, int] = (0, 0),
        cpu: dict[str, bool] | None = None,
    ) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: cpu or {}, raising=False)

    return fake


@pytest.fixture
def tf32_on() -> Iterator[None]:
    before = [flags.allow_tf32 for flags in TF32_FLAGS]
    for flags in TF32_FLAGS:
        flags.allow_tf32 = True
    yield
    for flags, value in zip(TF32_FLAGS, before, strict=True):
        flags.allow_tf32 = value


@pytest.mark.parametrize(
    ("cuda", "mps", "best"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
@pytest.mark.usefixtures("tf32_on")
def test_auto_is_the_best_device_and_every_usable_one_can_be_asked_for(
    machine: Machine, cuda: bool, mps: bool, best: str
) -> None:
    machine(cuda=cuda, mps=mps)
    assert best_device().type == resolve_device("auto").type == best
    for name, is_usable in {"cuda": cuda, "mps": mps, "cpu": True}.items():
        if is_usable:
            assert resolve_device(name).type == name
        else:
            with pytest.raises(InputError, match=f"cannot use the device {name} on this machine"):
                resolve_device(name)


@pytest.mark.parametrize("name", ["gpu", "cuda:7", "", "CPU"])
def test_other_names_are_refused(machine: Machine, name: str) -> None:
    machine(cuda=True)
    with pytest.raises(InputError, match="choose one of auto, cpu, cuda, mps"):
        resolve_device(name)


@pytest.mark.usefixtures("tf32_on")
@pytest.mark.parametrize("choose", [best_device, lambda: resolve_device("cuda")])
def test_fp32_on_cuda_is_not_tf32(machine: Machine, choose: Callable[[], torch.device]) -> None:
    machine(cuda=True)
    assert choose().type == "cuda"
    assert [flags.allow_tf32 for flags in TF32_FLAGS] == [False, False]


@pytest.mark.parametrize(
    ("device", "faked", "precision"),
    [
        ("cuda", {"cuda": True, "capability": (7, 5)}, "fp32"),
        ("cuda", {"cuda": True, "capability": (8, 0)}, "bf16"),
        ("cuda", {"cuda": True, "capability": (9, 0)}, "bf16"),
        ("mps", {"mps": True}, "fp32"),
        ("cpu", {}, "fp32"),
        ("cpu", {"cpu": {"avx2": True, "avx512_bf16": False}}, "fp32"),
        ("cpu", {"cpu": {"avx512_bf16": True}}, "bf16"),
        ("cpu", {"cpu": {"amx_bf16": True}}, "bf16"),
        ("cpu", {"cpu": {"bf16": True}}, "bf16"),
    ],
)
def test_auto_is_bf16_where_the_device_has_it(
    machine: Machine, device: str, faked: dict[str, Any], precision: str
) -> None:
    machine(**faked)
    found = torch.device(device)
    assert resolve_precision("auto", found) == precision
    assert has_native_bf16(found) == (precision == "bf16")
    for name in ("fp32", "bf16"):
        assert resolve_precision(name, found) == name


def test_a_pytorch_that_does_not_know_the_processor_computes_in_fp32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert resolve_precision("auto", torch.device("cpu")) == "fp32"
