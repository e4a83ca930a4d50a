"""Everything that can be asked for, each named and described once.

Command line, sidebar, cards, charts and sentences read these entries. A key is what a spec, a URL's
owner and a result file call the entry; a label is what a person reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass

FINE_GRAINED, CHANNELS = "Fine-grained", "Channels"
GRANULARITIES = (FINE_GRAINED, CHANNELS)
"""The two sides of every comparison."""

PRECISIONS = ("fp32", "bf16")
"""What a network can be evaluated in."""


@dataclass(frozen=True)
class DataSetName:
    """A data set that baselines are trained on."""

    label: str
    title: str


@dataclass(frozen=True)
class Criterion:
    """How a weight or a channel is scored."""

    label: str
    sentence: str
    scores_weights: bool  # whether it can score single weights; every criterion scores channels


@dataclass(frozen=True)
class Allocation:
    """How much of each layer or group goes."""

    label: str
    sentence: str
    shares_channels: bool  # whether it can share out channels; every allocation shares weights


@dataclass(frozen=True)
class Scope:
    """Which groups of channels may be pruned."""

    label: str
    sentence: str


@dataclass(frozen=True)
class Method:
    """A way of pruning."""

    label: str
    granularity: str  # of GRANULARITIES
    short: str  # what happens to a weight or channel, in one word
    doing: str  # the subject of a sentence
    sentence: str
    unit: str  # what can have a ratio of its own
    has_allocations: bool = True
    prunes_groups: bool = False  # removes coupled channels together, so scopes apply

    @property
    def prunes_weights(self) -> bool:
        return self.granularity == FINE_GRAINED

    @property
    def criteria(self) -> tuple[str, ...]:
        """The criteria that can score what this method prunes."""
        return tuple(
            name
            for name, each in CRITERIA.items()
            if each.scores_weights or not self.prunes_weights
        )

    @property
    def allocations(self) -> tuple[str, ...]:
        """The allocations that can share out what this method prunes."""
        return tuple(
            name
            for name, each in ALLOCATIONS.items()
            if each.shares_channels or self.prunes_weights
        )


@dataclass(frozen=True)
class RecoveryMethod:
    """What is done to a network after pruning."""

    label: str
    short: str  # behind a method's name; empty where nothing is done
    phrase: str  # within a sentence
    sentence: str
    images: int = 0  # training images that its usual form uses


DATASETS: Mapping[str, DataSetName] = {
    "cifar10": DataSetName("CIFAR-10", "CIFAR-10"),
    "digits": DataSetName("digits", "Handwritten digits"),
}

CRITERIA: Mapping[str, Criterion] = {
    "l1": Criterion("L1", "The sum of the absolute weights.", scores_weights=True),
    "l2": Criterion(
        "L2",
        "The root of the sum of the squared weights. For single weights, L1 and L2 give the same "
        "ranking.",
        scores_weights=True,
    ),
    "bn": Criterion("BN γ", "The scale of the batch-norm behind the filter.", scores_weights=False),
    "random": Criterion(
        "random", "A seeded draw: the yardstick that a criterion has to beat.", scores_weights=True
    ),
}

ALLOCATIONS: Mapping[str, Allocation] = {
    "uniform": Allocation(
        "uniform", "Every layer or group gives up the same part.", shares_channels=True
    ),
    "global": Allocation(
        "global", "One threshold for all, so that some give up more.", shares_channels=True
    ),
    "lamp": Allocation(
        "LAMP",
        "One threshold too, for scores that protect each layer's last weights.",
        shares_channels=False,
    ),
    "erk": Allocation(
        "ERK", "The larger a layer, the sparser, by its shape alone.", shares_channels=False
    ),
}

SCOPES: Mapping[str, Scope] = {
    "all": Scope("all", "Every group of channels."),
    "internal": Scope(
        "internal",
        "Only channels that no addition couples: the residual streams between the blocks keep "
        "their width.",
    ),
}

METHODS: Mapping[str, Method] = {
    "fine": Method(
        label="Fine-grained",
        granularity=FINE_GRAINED,
        short="zeroed",
        doing="zeroing single weights",
        sentence="Single weights are set to zero; every tensor keeps its shape.",
        unit="layer",
    ),
    "channel": Method(
        label="Channels removed",
        granularity=CHANNELS,
        short="removed",
        doing="removing channels",
        sentence="Whole channels are removed and every layer that has them becomes narrower; "
        "channels that a residual addition couples go together.",
        unit="group of channels",
        prunes_groups=True,
    ),
    "channel-mask": Method(
        label="Filters masked",
        granularity=CHANNELS,
        short="masked",
        doing="masking filters",
        sentence="Whole filters are zeroed in place, each layer for itself, and the batch-norm "
        "behind them is left as it was.",
        unit="convolution",
        has_allocations=False,
    ),
}

RECOVERIES: Mapping[str, RecoveryMethod] = {
    "none": RecoveryMethod("as pruned", "", "as pruned", ""),
    "bn": RecoveryMethod(
        "BN recalibrated",
        " + BN",
        "after recalibrating batch-norm",
        "Then every batch-norm's statistics were estimated again from up to 2,000 training images, "
        "without any gradient.",
        images=2000,
    ),
}

NO_RECOVERY = "none"
