"""What was tied at the end of a run: groups of channels, and reasons why others stay."""

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from core.networks.groups import Group, Member
from core.networks.labels.ledger import NONE
from core.networks.labels.run import Run


@dataclass(eq=False)
class Components:
    """The connected components of all ties; labels of one component are one channel."""

    run: Run

    def __post_init__(self) -> None:
        ledger = self.run.ledger
        self._anchors = len(ledger.reasons)
        self.labels = 1 + max(
            (int(each.max()) for each in ledger.opened.values() if len(each)), default=0
        )
        pairs = np.concatenate([np.empty((0, 2), np.int64), *(tie.pairs for tie in ledger.ties)])
        ends = pairs + self._anchors
        size = self._anchors + self.labels
        ties = coo_matrix((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), (size, size))
        self._of = connected_components(ties, directed=False)[1]
        self._reason_of: dict[int, str] = {}
        for number, reason in enumerate(ledger.reasons, start=1):
            self._reason_of.setdefault(int(self.of(np.array(-number))), reason)

    def of(self, labels: np.ndarray) -> np.ndarray:
        """The component of each label, int64."""
        components: np.ndarray = self._of[labels + self._anchors]
        return components

    def reason(self, labels: np.ndarray) -> str | None:
        """Why the first of the labels that stays does; None where none has to."""
        reasons = (self._reason_of.get(int(each)) for each in np.unique(self.of(labels)))
        return next((reason for reason in reasons if reason is not None), None)

    def are_tied(self, pairs: np.ndarray) -> np.ndarray:
        """Boolean (n,): which pairs, (n, 2), are tied, an anchor to all that stays."""
        first, second = pairs[:, 0], pairs[:, 1]
        components = self.of(pairs.clip(min=NONE))
        is_held = np.isin(components, list(self._reason_of))
        both_real = (first > NONE) & (second > NONE)
        tied: np.ndarray = np.where(
            both_real, components[:, 0] == components[:, 1], (is_held | (pairs < NONE)).all(axis=1)
        )
        return tied

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Components without a reason to stay; those with the same members form one group."""
        if not self.run.ledger.opened:
            return ()
        components, places, positions = self._stands
        starts = np.flatnonzero(np.diff(components, prepend=-1))
        ends = np.append(starts[1:], len(components))
        is_held = np.isin(components[starts], list(self._reason_of))
        alike: dict[bytes, list[int]] = defaultdict(list)  # the first stand of each component
        for start, end in zip(starts[~is_held].tolist(), ends[~is_held].tolist(), strict=True):
            alike[places[start:end].tobytes()].append(start)
        groups = []
        for signature, firsts in alike.items():
            numbers = np.frombuffer(signature, dtype=places.dtype)
            of_channels = positions[np.array(firsts)[:, None] + np.arange(len(numbers))]
            group = self._group(numbers, of_channels)
            if group is not None:
                groups.append(group)
        return _in_order(self.run, groups)

    @property
    def _stands(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Component, number of the place and position there, of every opened label, sorted so."""
        opened = list(self.run.ledger.opened.values())
        sizes = [len(labels) for labels in opened]
        components = self.of(np.concatenate(opened))
        places = np.repeat(np.arange(len(opened)), sizes)
        positions = np.concatenate([np.arange(size) for size in sizes])
        order = np.lexsort((positions, places, components))
        return components[order], places[order], positions[order]

    @cached_property
    def _coupled(self) -> np.ndarray:
        """Components in which an element-wise operation tied the outputs of two layers."""
        run = self.run
        is_output = np.zeros(self.labels, dtype=bool)
        for place in (*run.producers, *run.depthwise):
            is_output[run.ledger.opened[place]] = True
        couplings = [tie.pairs for tie in run.ledger.ties if tie.couples]
        pairs = np.concatenate([np.empty((0, 2), np.int64), *couplings]).clip(min=NONE)
        pairs = pairs[is_output[pairs].all(axis=1) & (pairs[:, 0] != pairs[:, 1])]
        return np.unique(self.of(pairs))

    def _group(self, numbers: np.ndarray, of_channels: np.ndarray) -> Group | None:
        """A group with its positions, (channels, stands), at the numbered place of each stand.

        None where no layer produces it.
        """
        run = self.run
        opened = list(run.ledger.opened)
        order = {place: number for number, place in enumerate(run.producers)}
        own = [opened[number] for number in dict.fromkeys(numbers.tolist())]
        producers = sorted((place for place in own if place in order), key=order.__getitem__)
        if not producers:
            return None
        first = np.flatnonzero(numbers == opened.index(producers[0]))[0]
        of_channels = of_channels[of_channels[:, first].argsort()]
        positions = {place: of_channels[:, numbers == opened.index(place)] for place in own}
        in_first = run.ledger.opened[producers[0]][positions[producers[0]][:, 0]]
        owners = dict.fromkeys(tensor.rpartition(".")[0] for tensor, _ in own)
        return Group(
            name=run.producers[producers[0]],
            size=len(of_channels),
            producers=tuple(run.producers[place] for place in producers),
            batch_norms=tuple(each for each in owners if run.is_batch_norm(each)),
            depthwise=tuple(run.depthwise[place] for place in own if place in run.depthwise),
            consumers=tuple(
                (run.consumers[place], positions[place].shape[1])
                for place in own
                if place in run.consumers
            ),
            is_residual=bool(np.isin(self.of(in_first), self._coupled).any()),
            members=tuple(Member(tensor, dim, positions[tensor, dim]) for tensor, dim in own),
        )


def _in_order(run: Run, groups: list[Group]) -> tuple[Group, ...]:
    """By execution of the first producer; of groups with the same one each gets its own name."""
    order = {layer: number for number, layer in enumerate(run.producers.values())}
    number: Counter[str] = Counter()
    named = []
    for group in sorted(groups, key=lambda group: order[group.name]):
        number[group.name] += 1
        behind = f"#{number[group.name]}" if number[group.name] > 1 else ""
        named.append(replace(group, name=group.name + behind))
    return tuple(named)
