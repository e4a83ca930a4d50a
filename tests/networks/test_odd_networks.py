"""Networks that cannot be followed, or only in part: refused or said, never wrong in silence."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, spectral_norm, weight_norm
from torch.nn.utils import prune as torch_prune

from core.errors import InputError
from core.networks.batch_norm import fold_batch_norms
from core.networks.flow import follow
from core.networks.layers import filters, prunable_layers
from core.pruning import Pruner
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import METHODS
from tests.networks.kinds import KINDS, Network, conv
from tests.networks.removal import EXACT, doubled, outputs
from tests.small_networks import EXAMPLE, followed, same_state, with_structure, wrap

every_method = pytest.mark.parametrize("method", METHODS)


def one_sentence(error: BaseException) -> str:
    text = str(error)
    assert text.endswith(".")
    assert "\n" not in text
    return text


class ByValue(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = conv()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layer(x) if x.sum() > 0 else x
        return result


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = conv(3, 8)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        result: Tensor = self.layer(x) + y
        return result


def compiled(network: nn.Module) -> Any:
    return torch.compile(network)


def bound_to_another() -> nn.Module:
    """A copy of it would still run the layers of the first one."""
    network = Network(conv())
    network.forward = lambda x: network.head(network.middle(network.front(x)))  # type: ignore
    return network


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "control flow on values": (lambda: Network(ByValue()), "forward of middle depends on the val"),
    "a forward bound to another network": (bound_to_another, "does not store"),
    "two inputs": (TwoInputs, "'y'"),
    "DataParallel": (lambda: nn.DataParallel(Network(conv())), "DataParallel: give its .module"),
    "torch.compile": (lambda: compiled(Network(conv())), "torch.compile: give its ._orig_mod"),
    "a compiled layer": (lambda: Network(compiled(conv())), "layer middle"),
    "a lazy layer": (lambda: Network(nn.LazyConv2d(8, 1)), "run it once"),
    "another image size": (
        lambda: Network(nn.Identity(), head=nn.Sequential(nn.Flatten(), nn.Linear(7, 5))),
        "forward of head.1 fails on one example of shape (1, 3, 8, 8)",
    ),
}


@pytest.mark.parametrize(("make", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_followed_is_refused_in_a_sentence(
    make: Callable[[], Any], words: str
) -> None:
    with pytest.raises(InputError) as caught:
        follow(make(), EXAMPLE)
    assert words in one_sentence(caught.value)


def masked_by_torch(layer: nn.Module) -> nn.Module:
    torch_prune.random_unstructured(layer, "weight", 0.3)  # type: ignore[no-untyped-call]
    return layer


COMPUTED: dict[str, Callable[[nn.Module], nn.Module]] = {
    "weight_norm": weight_norm,
    "weight_norm, parametrized": parametrizations.weight_norm,
    "spectral_norm": spectral_norm,
    "spectral_norm, parametrized": parametrizations.spectral_norm,
    "torch.nn.utils.prune": masked_by_torch,
}


@every_method
@pytest.mark.parametrize("wrap", COMPUTED.values(), ids=COMPUTED)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_a_computed_weight_stays_and_is_said_while_the_others_are_pruned(
    wrap: Callable[[nn.Module], nn.Module], method: str
) -> None:
    network = Network(nn.Sequential(wrap(conv(8, 6, 3)), nn.ReLU(), conv(6, 8))).eval()
    pruned = Pruner(followed(network)).prune(PruningSpec(method, 0.5))
    assert any("middle.0" in note and "not stored" in note for note in pruned.notes)
    before, after = (
        network.get_submodule("middle.0"),
        pruned.network.module.get_submodule("middle.0"),
    )
    assert same_state(dict(after.named_parameters()), dict(before.named_parameters()))
    reported = {layer.name: layer for layer in pruned.layers}
    assert reported["middle.2"].sparsity >= 0.5
    with torch.no_grad():
        pruned.network.module(torch.zeros(EXAMPLE))  # its hooks run: they may undo what was pruned
    for name, layer in prunable_layers(pruned.network.module).items():
        left = int((filters(layer) != 0).sum())
        assert left == reported[name].weights_left


@every_method
def test_a_nan_weight_is_refused_by_its_layer(method: str) -> None:
    network = Network(conv())
    network.middle.get_parameter("weight").data[0, 0] = torch.nan
    pruner = Pruner(followed(network))
    with pytest.raises(InputError, match=r"layer middle .*NaN") as caught:
        pruner.prune(PruningSpec(method, 0.5))
    one_sentence(caught.value)


@every_method
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("allocation", ["uniform", "global"])
def test_weights_of_any_precision_are_pruned_and_keep_it(
    method: str, dtype: torch.dtype, allocation: str
) -> None:
    network = Network(conv(8, 6, 3), 6).to(dtype)
    pruner = Pruner(followed(network))
    pruned = pruner.prune(PruningSpec(method, 0.5, allocation=allocation))
    assert all(tensor.dtype is dtype for tensor in pruned.network.module.state_dict().values())
    in_fp32 = copy.deepcopy(network).float()
    expected = Pruner(with_structure(in_fp32, pruner.baseline.structure)).prune(
        PruningSpec(method, 0.5, allocation=allocation)
    )
    if dtype is not torch.float64:  # its numbers are not those of fp32
        assert same_state(
            {name: tensor.float() for name, tensor in pruned.network.module.state_dict().items()},
            dict(expected.network.module.state_dict()),
        )
    assert pruned.layers == expected.layers


@every_method
def test_a_shared_parameter_is_pruned_once_and_stays_shared(method: str) -> None:
    network = KINDS["a shared parameter"][0]()
    pruned = Pruner(followed(network)).prune(PruningSpec(method, 0.5))
    middle = pruned.network.module.get_submodule("middle")
    first, second = (middle.get_submodule(name) for name in ("first", "second"))
    assert first.get_parameter("weight") is second.get_parameter("weight")
    weight = first.get_parameter("weight")
    left = int((weight != 0).sum())
    assert left == {"fine": 24, "channel": 3 * 4, "channel-mask": 3 * 8, "hybrid": 3 * 4}[method]
    if METHODS[method].prunes_weights or not METHODS[method].prunes_groups:
        assert any("shares its weight" in note for note in pruned.notes)


@every_method
def test_a_request_that_removes_nothing_says_so(method: str) -> None:
    network = nn.Sequential(conv(3, 2), nn.Flatten(), nn.Linear(128, 1, bias=False))
    pruner = Pruner(followed(network))
    notes = pruner.prune(PruningSpec(method, 0.001)).notes
    assert notes[0] == "Nothing was removed at a ratio of 0.001."
    assert not any("Nothing" in note for note in pruner.prune(PruningSpec(method, 0)).notes)
    assert not any("Nothing" in note for note in pruner.prune(PruningSpec(method, 0.5)).notes)


def test_all_zero_filters_go_first_and_by_position() -> None:
    network = Network(conv())
    network.middle.get_parameter("weight").data[[1, 4, 6]] = 0
    pruner = Pruner(followed(network))
    kept = pruner.kept_channels(PruningSpec("channel", 0.25))["middle"]
    assert kept.tolist() == [0, 2, 3, 5, 6, 7]


@pytest.mark.parametrize(
    "kind",
    [
        "a weight read in forward",
        "a shared parameter",
        "a shared layer",
        "a subclass of Conv2d",
        "a subclass of BatchNorm2d",
        "batch-norm without running statistics",
        "batch-norm without scale",
        "SyncBatchNorm",
        "arguments by keyword",
        "zero-padded shortcut",
    ],
)
def test_folding_leaves_what_the_network_computes(kind: str) -> None:
    network = doubled(KINDS[kind][0]())
    folded = fold_batch_norms(wrap(network))
    expected = outputs(network, EXAMPLE)
    difference = (outputs(folded, EXAMPLE) - expected).abs().max()
    assert difference <= EXACT * expected.abs().max()


@pytest.mark.parametrize(
    ("kind", "is_folded"),
    [
        ("zero-padded shortcut", True),
        ("a shared layer", False),
        ("a subclass of BatchNorm2d", False),
        ("batch-norm without running statistics", False),
    ],
)
def test_a_batch_norm_is_folded_only_where_it_is_alone_and_plain(
    kind: str, is_folded: bool
) -> None:
    network = KINDS[kind][0]()
    folded = fold_batch_norms(wrap(network))
    is_there = any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert is_there is not is_folded
