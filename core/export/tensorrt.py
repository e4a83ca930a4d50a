"""TensorRT: engines are built from an ONNX file by trtexec, which comes with it."""

import shlex
import shutil
import subprocess
from pathlib import Path

from core.errors import InputError
from core.export import extras
from core.export.tracing import INPUT
from core.networks.signature import Signature

BUILDER = "trtexec"
PROVIDER = "TensorrtExecutionProvider"
USUAL_BATCH, MOST_IMAGES = 64, 256


def command(onnx_file: Path, signature: Signature, usual: int = USUAL_BATCH) -> list[str]:
    """Return the command that builds an engine beside an ONNX file.

    It takes batches of 1 to `MOST_IMAGES`, and is fastest for those of the `usual` size.
    """
    _, *shape = signature.example

    def shapes(batch: int) -> str:
        return f"{INPUT}:{'x'.join(map(str, (batch, *shape)))}"

    return [
        BUILDER,
        f"--onnx={onnx_file}",
        f"--saveEngine={onnx_file.with_name(engine_name(onnx_file))}",
        f"--minShapes={shapes(1)}",
        f"--optShapes={shapes(min(usual, MOST_IMAGES))}",
        f"--maxShapes={shapes(MOST_IMAGES)}",
    ]


def command_text(onnx_file: Path, signature: Signature, usual: int = USUAL_BATCH) -> str:
    """Return `command` as it is typed."""
    return shlex.join(command(onnx_file, signature, usual))


def engine_name(onnx_file: Path) -> str:
    return f"{onnx_file.name.removesuffix('.onnx')}.engine"


def ways() -> tuple[str, ...]:
    """Return what there is here to run TensorRT: trtexec, ONNX Runtime's provider, or nothing."""
    found = [BUILDER] if shutil.which(BUILDER) else []
    if not extras.missing(["onnxruntime"]):
        providers = extras.imported("onnxruntime").get_available_providers()
        found += [each for each in providers if each == PROVIDER]
    return tuple(found)


def build_engine(onnx_file: Path, signature: Signature) -> Path:
    """Build the engine beside an ONNX file and return its path.

    Raises InputError if there is no trtexec, or if it fails; then no engine is left.
    """
    if shutil.which(BUILDER) is None:
        raise InputError(
            f"{BUILDER} is not on this machine: it comes with TensorRT. Build the engine where it "
            f"is used, with {command_text(onnx_file, signature)}."
        )
    engine = onnx_file.with_name(engine_name(onnx_file))
    try:
        done = subprocess.run(
            command(onnx_file, signature), capture_output=True, text=True, check=False
        )
        if done.returncode or not engine.is_file():
            lines = (done.stderr or done.stdout).strip().splitlines() or ["it says nothing"]
            raise InputError(f"{BUILDER} failed ({lines[-1]}): see what it prints when run alone.")
    except BaseException:
        engine.unlink(missing_ok=True)
        raise
    return engine
