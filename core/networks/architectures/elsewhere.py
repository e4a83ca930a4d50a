"""Networks that others define: torchvision's, timm's, and a person's own code."""

import importlib
import inspect
import os
import re
from collections.abc import Callable

from torch import nn

from core.errors import InputError, one_line
from core.networks.signature import Signature
from core.networks.source import Source, call

Build = Callable[[Signature], nn.Module]

OWN_CODE = "EXPLORER_NETWORKS"
"""The environment variable with the functions of own code that may be imported and called."""
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def torchvision_model(name: str) -> Build:
    """Return the function that builds a classification model of torchvision, for any classes.

    Raises InputError for a name that torchvision does not have.
    """
    from torchvision import models

    if name not in models.list_models(module=models):
        raise InputError(
            f"torchvision has no classification model {name!r}: torchvision.models.list_models "
            "names all."
        )
    builder = models.get_model_builder(name)

    def build(signature: Signature) -> nn.Module:
        module: nn.Module = builder(**_torchvision_settings(builder, signature))
        return module

    return build


def torchvision_source(name: str) -> Callable[[Signature], Source]:
    """Return the function that writes the code of a model of torchvision."""

    def write(signature: Signature) -> Source:
        from torchvision import models

        settings = _torchvision_settings(models.get_model_builder(name), signature)
        return Source(
            (f"from torchvision.models import {name}",), (f"network = {call(name, settings)}",)
        )

    return write


def _torchvision_settings(
    builder: Callable[..., nn.Module], signature: Signature
) -> dict[str, object]:
    size = signature.image_size
    settings = {
        "image_size": size,
        "input_size": (size, size),
        "aux_logits": False,
        "init_weights": True,
    }
    model = inspect.signature(builder).return_annotation
    return {"num_classes": signature.classes, **_accepted(model, settings)}


def timm_model(name: str) -> Build:
    """Return the function that builds a model of timm, for any number of classes.

    Raises InputError if timm is not installed, or does not have the name.
    """
    try:
        import timm
    except ModuleNotFoundError as error:
        raise InputError(
            "timm is not installed: pip install -r requirements-timm.txt, then try again."
        ) from error
    if not timm.is_model(name):  # refuses names that timm would download
        raise InputError(f"timm has no model {name!r}: timm.list_models names all.")

    def build(signature: Signature) -> nn.Module:
        classes = signature.classes
        try:
            return timm.create_model(name, num_classes=classes, img_size=signature.image_size)
        except TypeError:  # convolutional networks take no img_size
            return timm.create_model(name, num_classes=classes)

    return build


def timm_source(name: str) -> Callable[[Signature], Source]:
    """Return the function that writes the code of a model of timm."""

    def write(signature: Signature) -> Source:
        settings: dict[str, object] = {"model_name": name, "num_classes": signature.classes}
        sized = call("timm.create_model", settings | {"img_size": signature.image_size})
        unsized = call("timm.create_model", settings)
        return Source(
            ("import timm",),
            (
                "try:",
                f"    network = {sized}",
                "except TypeError:  # convolutional networks take no img_size",
                f"    network = {unsized}",
            ),
        )

    return write


def allow_own_code(name: str) -> None:
    """Allow `package.module:function` to be imported and called, here and in child processes."""
    os.environ[OWN_CODE] = ",".join([*allowed_own_code(), name])


def allowed_own_code() -> tuple[str, ...]:
    """Return the functions that the person who started this process has named."""
    return tuple(part.strip() for part in os.environ.get(OWN_CODE, "").split(",") if part.strip())


def own_code(name: str) -> Build:
    """Return the person's own function `package.module:function`, which returns a module.

    It is called with `num_classes` if it has such a parameter, else without arguments. Raises
    InputError if it was not allowed, since a file that names it is no reason to run it, or if it
    cannot be imported or fails.
    """
    function = _own_function(name)

    def build(signature: Signature) -> nn.Module:
        module: nn.Module = function(**_own_settings(function, signature))
        return module

    return build


def own_source(name: str) -> Callable[[Signature], Source]:
    """Return the function that writes the import and the call of a person's own function.

    Raises InputError as `own_code` does.
    """
    function = _own_function(name)
    module_name, _, function_name = name.partition(":")

    def write(signature: Signature) -> Source:
        settings = _own_settings(function, signature)
        return Source(
            (f"from {module_name} import {function_name}",),
            (f"network = {call(function_name, settings)}",),
        )

    return write


def _own_function(name: str) -> Callable[..., nn.Module]:
    if _FUNCTION.fullmatch(name) is None:
        raise InputError(f"Own code is named package.module:function, not {name!r}.")
    if name not in allowed_own_code():
        raise InputError(
            f"{name} is own code, which is only run if you name it: start again with "
            f"{OWN_CODE}={name}."
        )
    module_name, _, function_name = name.partition(":")
    try:
        function: Callable[..., nn.Module] = getattr(
            importlib.import_module(module_name), function_name
        )
    except Exception as error:
        raise InputError(f"{name} cannot be imported ({one_line(error)}).") from error
    return function


def _own_settings(function: Callable[..., object], signature: Signature) -> dict[str, object]:
    return _accepted(function, {"num_classes": signature.classes})


def _accepted(function: Callable[..., object], settings: dict[str, object]) -> dict[str, object]:
    """Return the settings that a function, or the class that it builds, has parameters for."""
    parameters = inspect.signature(function).parameters
    return {name: value for name, value in settings.items() if name in parameters}
