"""Layers and norms: where labels are opened and consumed."""

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from core.networks.groups import Place
from core.networks.labels.ledger import along, parts_of, varies, varying
from core.networks.labels.operations import mixed, rule
from core.networks.labels.run import Call, Run


@rule("convolution")
def convolution(run: Run, call: Call) -> None:
    """(N, in, ...) to (N, out, ...); the weight is (out, in/groups, ...), or (in, out/groups, ...).

    The second is a transposed convolution's.
    """
    x, weight = call.arguments["input"], call.arguments["weight"]
    name = run.name(weight)
    if name is None:
        mixed(run, call, f"the weight of {run.at(call.name)} is computed, not stored")
        return
    labels = run.labels(x)
    if varies(labels, 0):  # an example a channel, each by the same weight
        run.ledger.fix(labels, f"{run.at(call.name)} takes them as examples", run.at(call.name))
    is_transposed = call.arguments["transposed"]
    inputs = parts_of(labels.movedim(1, 0), 0, call.arguments["groups"])
    tie = _tie_depthwise if len(inputs) > 1 == inputs.shape[1] else _tie_groups
    outputs = tie(run, call, name, inputs, is_transposed)
    taken = x if is_transposed else call.output
    _finish(run, call, name, outputs, dim=1, positions=taken.numel() // len(weight))


@rule("linear")
def linear(run: Run, call: Call) -> None:
    """(..., in) to (..., out) by a weight (out, in)."""
    x, weight = call.arguments["input"], call.arguments["weight"]
    name = run.name(weight)
    if name is None:
        mixed(run, call, f"the weight of {run.at(call.name)} is computed, not stored")
        return
    labels = run.labels(x)
    if varying(labels, range(x.ndim - 1)):
        run.ledger.fix(labels, f"{run.at(call.name)} takes them as positions", run.at(call.name))
    inputs = labels.movedim(-1, 0).unsqueeze(0)
    outputs = _tie_groups(run, call, name, inputs, is_transposed=False)
    positions = call.output.numel() // len(weight)
    _finish(run, call, name, outputs, dim=x.ndim - 1, positions=positions)


def _tie_groups(run: Run, call: Call, name: str, inputs: Tensor, is_transposed: bool) -> Tensor:
    """Tie the inputs, (groups, in per group, ...), to a weight; return its outputs' labels, (out,).

    In several groups the same position of each goes together, so that they stay equally wide.
    """
    groups = len(inputs)
    own = _opened(run, call, name, 0 if is_transposed else 1, run.consumers)
    own = own.view(groups if is_transposed else 1, -1)
    outputs = _opened(run, call, name, 1 if is_transposed else 0, run.producers)
    outputs = outputs.view(1 if is_transposed else groups, -1)
    run.ledger.tie(
        own.view(*own.shape, *[1] * (inputs.ndim - 2)), inputs, run.at(call.name), is_meeting=True
    )
    for side in (own, outputs):
        run.ledger.tie(side, side[:1], run.at(call.name))
    return outputs.expand(groups, -1).flatten()


def _tie_depthwise(run: Run, call: Call, name: str, inputs: Tensor, is_transposed: bool) -> Tensor:
    """Tie the one input of each group, (groups, 1, ...), to all outputs of the group."""
    own = _opened(run, call, name, 0, run.depthwise).view(len(inputs), -1)
    first = own[:, :1].view(len(inputs), *[1] * (inputs.ndim - 1))
    run.ledger.tie(first, inputs, run.at(call.name), is_meeting=True)
    run.ledger.tie(own, own[:, :1], run.at(call.name))
    if is_transposed:
        return own.expand(-1, call.arguments["weight"].shape[1]).flatten()
    return own.flatten()


def _opened(run: Run, call: Call, name: str, dim: int, layers: dict[Place, str]) -> Tensor:
    """The labels of one dimension of a weight, noted in `layers` if it is a layer's."""
    layer = run.layer_of(name)
    if layer is not None:
        layers.setdefault((name, dim), layer)
    return run.ledger.open((name, dim), call.arguments["weight"].shape[dim])


def _finish(run: Run, call: Call, name: str, outputs: Tensor, dim: int, positions: int) -> None:
    """Label the result along its channels, tie the bias, and note which layer it was."""
    bias = call.arguments.get("bias")
    if bias is not None:
        run.ledger.tie(outputs, run.vector_labels(bias), run.at(call.name), is_meeting=True)
    run.label(call.output, along(outputs, dim, call.output.ndim))
    run.weights.add(name)
    layer = run.layer_of(name)
    if layer is not None:
        run.positions[layer] += positions
        run.made_by[call.output] = layer


@rule("batch_norm")
def batch_norm(run: Run, call: Call) -> None:
    """(N, channels, ...): four vectors, one number a channel."""
    x = call.arguments["input"]
    labels = run.labels(x)
    _tie_vectors(run, call, labels, "weight", "bias", "running_mean", "running_var")
    run.label(call.output, labels)
    layer = run.made_by.get(x)
    if layer is not None and isinstance(run.running_module, _BatchNorm):
        run.batch_norms[layer] = run.running


@rule("group_norm")
def group_norm(run: Run, call: Call) -> None:
    """Channels that are normalised together go together, so that the others' statistics stay."""
    groups, weight = call.arguments["num_groups"], call.arguments.get("weight")
    is_module = isinstance(run.running_module, nn.GroupNorm)
    if not is_module or weight is None:  # only with its vectors does a module learn its new size
        mixed(run, call, f"{run.at(call.name)} normalises a number of groups that is written down")
        return
    labels = run.labels(call.arguments["input"])
    by_group = parts_of(labels, 1, groups)
    run.ledger.tie(by_group, by_group[:, :, :1], run.at(call.name))
    _tie_vectors(run, call, labels, "weight", "bias")
    run.label(call.output, labels)


def _tie_vectors(run: Run, call: Call, labels: Tensor, *arguments: str) -> None:
    """Tie vectors of one number a channel to (N, channels, ...)."""
    for argument in arguments:
        vector = call.arguments.get(argument)
        if vector is not None:
            own = along(run.vector_labels(vector), 1, labels.ndim)
            run.ledger.tie(own, labels, run.at(call.name), is_meeting=True)
