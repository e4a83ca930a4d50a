"""The vocabulary: every method, criterion, allocation, scope and recovery, described once.

The command line, sidebar, cards, charts and sentences use these entries. Specs and result files
contain an entry's key; users see its label.
"""

from collections.abc import Mapping
from dataclasses import dataclass

FINE_GRAINED, CHANNELS = "Fine-grained", "Channels"
GRANULARITIES = (FINE_GRAINED, CHANNELS)
"""The two sides of every comparison."""

PRECISIONS = ("fp32", "bf16")
"""The precisions of evaluation."""


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
    scores_weights: bool = False
    scores_filters: bool = False  # of a layer alone, as masking does
    scores_channels: bool = True  # of a whole group
    needs_images: bool = False  # looks at training images


@dataclass(frozen=True)
class Allocation:
    """How the ratio is distributed over layers or groups."""

    label: str
    sentence: str
    shares_channels: bool
    shares_weights: bool = True
    has_one_total: bool = False  # layers or groups compete, so they can have a floor and a ceiling


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
    short: str  # what happens to a weight or channel, as a participle
    doing: str  # gerund phrase, used as the subject of a sentence
    sentence: str
    unit: str  # what can have its own ratio
    has_allocations: bool = True
    prunes_groups: bool = False  # removes coupled channels together, so scopes apply
    zeroes_rest: bool = False  # then zeroes weights of what is left, by a ratio of their own

    @property
    def prunes_weights(self) -> bool:
        return self.granularity == FINE_GRAINED

    def can_use(self, criterion: Criterion) -> bool:
        if self.prunes_weights:
            return criterion.scores_weights
        return criterion.scores_channels if self.prunes_groups else criterion.scores_filters

    @property
    def criteria(self) -> tuple[str, ...]:
        """The criteria that this method supports."""
        return tuple(name for name, each in CRITERIA.items() if self.can_use(each))

    @property
    def allocations(self) -> tuple[str, ...]:
        """The allocations that this method supports."""
        return tuple(
            name
            for name, each in ALLOCATIONS.items()
            if (each.shares_weights if self.prunes_weights else each.shares_channels)
        )


@dataclass(frozen=True)
class RecoveryMethod:
    """What is done to a network after pruning."""

    label: str
    short: str  # appended to a method's name; empty for no recovery
    phrase: str  # used within a sentence
    sentence: str
    doing: str = ""  # gerund phrase, for progress
    images: int = 0  # default number of training images


FOLDER = "folder:"
"""Begins the name of a data set of own images; the name of their folder follows."""

DATASETS: Mapping[str, DataSetName] = {
    "cifar10": DataSetName("CIFAR-10", "CIFAR-10"),
    "cifar100": DataSetName("CIFAR-100", "CIFAR-100"),
    "digits": DataSetName("digits", "Handwritten digits"),
}


def is_folder(name: str) -> bool:
    """Return whether a data set's name is that of a folder of own images."""
    return name.startswith(FOLDER)


def data_set_name(name: str) -> DataSetName:
    """Return how users see a data set: one of DATASETS, or a folder of own images.

    A folder keeps its name, unless that is the label of one of DATASETS.
    """
    if not is_folder(name):
        return DATASETS[name]
    own = name.removeprefix(FOLDER)
    if own in {each.label for each in DATASETS.values()}:
        own = f"{own} (folder)"
    return DataSetName(own, own)


CRITERIA: Mapping[str, Criterion] = {
    "l1": Criterion(
        "L1", "The sum of the absolute weights.", scores_weights=True, scores_filters=True
    ),
    "l2": Criterion(
        "L2",
        "The root of the sum of the squared weights. For single weights, L1 and L2 give the same "
        "ranking.",
        scores_weights=True,
        scores_filters=True,
    ),
    "bn": Criterion("BN γ", "The scale of the batch-norm after the filter.", scores_filters=True),
    "fpgm": Criterion(
        "FPGM",
        "The distance of a filter to the others of its layer: what they can replace goes first.",
        scores_filters=True,
    ),
    "next-l2": Criterion(
        "next-layer L2", "The L2 norm of the weights that read the channel in the next layers."
    ),
    "taylor": Criterion(
        "Taylor",
        "What the loss would change without the channel, to the first order, on training images.",
        needs_images=True,
    ),
    "second-order": Criterion(
        "second-order",
        "The error that is left if the other channels, or weights, make up for the one that goes "
        "as well as they can, on training images.",
        scores_weights=True,
        needs_images=True,
    ),
    "wanda": Criterion(
        "Wanda",
        "The absolute weight times the norm of the input that it multiplies, on training images.",
        scores_weights=True,
        scores_channels=False,
        needs_images=True,
    ),
    "first": Criterion(
        "first k",
        "The position: the first channels stay. Naive, and without any look at the weights.",
        scores_filters=True,
    ),
    "random": Criterion(
        "random",
        "Random scores from a seed; a useful criterion must do better.",
        scores_weights=True,
        scores_filters=True,
    ),
}

ALLOCATIONS: Mapping[str, Allocation] = {
    "uniform": Allocation(
        "uniform", "The same ratio for every layer or group.", shares_channels=True
    ),
    "global": Allocation(
        "global",
        "One threshold for all, so some lose more than others.",
        shares_channels=True,
        has_one_total=True,
    ),
    "isomorphic": Allocation(
        "isomorphic",
        "One threshold for all groups whose layers have the same shapes.",
        shares_channels=True,
        shares_weights=False,
        has_one_total=True,
    ),
    "lamp": Allocation(
        "LAMP",
        "A global threshold on scores that protect the last weights of each layer.",
        shares_channels=False,
        has_one_total=True,
    ),
    "erk": Allocation(
        "ERK", "Larger layers become sparser, by their shape alone.", shares_channels=False
    ),
}

SCOPES: Mapping[str, Scope] = {
    "all": Scope("all", "Every group of channels."),
    "internal": Scope(
        "internal",
        "Only groups inside a block, so that the residual streams between blocks keep their width.",
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
        sentence="Whole channels are removed, so layers become narrower; channels that a residual "
        "addition or the like couples are removed together.",
        unit="group of channels",
        prunes_groups=True,
    ),
    "channel-mask": Method(
        label="Filters masked",
        granularity=CHANNELS,
        short="masked",
        doing="masking filters",
        sentence="Whole filters are zeroed in place, in each layer separately; the batch-norm "
        "after them is not changed.",
        unit="convolution",
        has_allocations=False,
    ),
    "hybrid": Method(
        label="Hybrid",
        granularity=CHANNELS,
        short="hybrid",
        doing="removing channels, then weights,",
        sentence="Whole channels are removed first; then single weights of what is left are set to "
        "zero, by their magnitude.",
        unit="group of channels",
        prunes_groups=True,
        zeroes_rest=True,
    ),
}

RECOVERIES: Mapping[str, RecoveryMethod] = {  # those that the sidebar offers
    "none": RecoveryMethod("as pruned", "", "as pruned", ""),
    "bn": RecoveryMethod(
        "BN recalibrated",
        " + BN",
        "after recalibrating batch-norm",
        "Then the statistics of every batch-norm were re-estimated from up to 2,000 training "
        "images, without training.",
        doing="recalibrating batch-norm",
        images=2000,
    ),
    "reconstruct": RecoveryMethod(
        "reconstructed",
        " + reconstructed",
        "after reconstruction",
        "Then the weights that are left took over what can be guessed of the lost ones, by least "
        "squares over up to 2,000 training images, and batch-norm was recalibrated. No training.",
        doing="reconstructing",
        images=2000,
    ),
}

DATA_FREE_RECOVERIES: Mapping[str, RecoveryMethod] = {
    "merge": RecoveryMethod(
        "merged",
        " + merged",
        "after merging",
        "Then the weights that read a lost channel were added to those that read the most similar "
        "one. Without any image.",
        doing="merging",
    ),
}
"""Recoveries for a machine without images."""

TRAINED_RECOVERIES: Mapping[str, RecoveryMethod] = {
    "finetune": RecoveryMethod(
        "fine-tuned",
        " + fine-tuned",
        "after fine-tuning",
        "Then the network was trained on; weights that pruning zeroed stayed zero at every step.",
        doing="fine-tuning",
        images=10_000,
    ),
}
"""Recoveries that train."""
UNTRAINED_RECOVERIES = {**RECOVERIES, **DATA_FREE_RECOVERIES}
ALL_RECOVERIES = {**UNTRAINED_RECOVERIES, **TRAINED_RECOVERIES}

NO_RECOVERY = "none"
