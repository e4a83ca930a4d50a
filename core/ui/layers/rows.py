"""The rows of a heatmap of layers: in a deep network, blocks of layers that can be unfolded."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from string import digits

import pandas as pd

from core.formatting import shortener

# A chart of more than 2,000 marks becomes a picture, in which a screen reader finds nothing. The
# overview has 41 marks a row, so it takes 48 rows: 29 folded ones, of which one becomes 20.
MOST_ROWS = 48
MOST_FOLDED = 29
MOST_IN_SECTION = 20
FOLDED = "nothing (a row for each block)"


@dataclass(frozen=True)
class Row:
    """A row of the heatmap: a layer, or a folded block of consecutive layers."""

    key: str  # unique; of a single layer its name
    label: str  # the short name, unique too
    layers: tuple[str, ...]
    section: str


@dataclass(frozen=True)
class Rows:
    """The rows of all layers, in order."""

    rows: tuple[Row, ...]

    @property
    def stages(self) -> dict[str, list[str]]:
        """The rows' keys by section."""
        stages: dict[str, list[str]] = {}
        for row in self.rows:
            stages.setdefault(row.section, []).append(row.key)
        return stages

    @property
    def labels(self) -> dict[str, str]:
        return {row.key: row.label for row in self.rows}

    def of(self, layer: str) -> Row:
        return next(row for row in self.rows if layer in row.layers)

    def fold(self, cells: pd.DataFrame) -> pd.DataFrame:
        """Sum the weights of the layers of each row.

        Columns: method, layer, ratio, sparsity (0 to 1), weights, weights_left. The column layer
        of the result has the rows' keys.
        """
        keys = {layer: row.key for row in self.rows for layer in row.layers}
        sums = (
            cells.assign(layer=cells["layer"].map(keys))
            .groupby(["method", "ratio", "layer"], sort=False)[["weights", "weights_left"]]
            .sum()
            .reset_index()
        )
        return sums.assign(sparsity=1 - sums["weights_left"] / sums["weights"])


def rows_of(layers: Sequence[str], unfolded: str = FOLDED) -> Rows:
    """Return a row for each layer, or for each block where there are more than MOST_ROWS layers.

    `unfolded` is the name of a section whose layers have a row each all the same.
    """
    short = shortener(layers)
    if len(layers) <= MOST_ROWS:
        found = [
            Row(name, short(name), (name,), stage)
            for stage, names in stages_of(layers).items()
            for name in names
        ]
        return Rows(tuple(found))
    sections = sections_of(layers)
    depth = _depth_of_blocks(sections.values())
    rows = []
    for section, names in sections.items():
        if section == unfolded:
            rows += [Row(name, short(name), (name,), section) for name in names]
            continue
        blocks = _runs(names, depth)
        for prefix, block in blocks:
            name = section if len(blocks) == 1 else prefix
            if len(block) == 1:
                rows.append(Row(block[0], short(block[0]), tuple(block), section))
            else:
                rows.append(Row(name, f"{short(name)} ({len(block)})", tuple(block), section))
    return Rows(tuple(rows))


def _depth_of_blocks(sections: Iterable[list[str]]) -> int:
    """Return how many parts of their names the layers of a block share, for as many as fit."""
    deepest = max(_depth(name) for names in sections for name in names)
    numbers = {
        depth: sum(len(_runs(names, depth)) for names in sections) for depth in range(deepest + 1)
    }
    return max(
        (depth for depth, number in numbers.items() if number <= MOST_FOLDED),
        key=lambda depth: (numbers[depth], -depth),
        default=0,
    )


def foldable(layers: Sequence[str]) -> list[str]:
    """Return the sections that can be unfolded; none where every layer has a row anyway."""
    if len(layers) <= MOST_ROWS:
        return []
    return [name for name, each in sections_of(layers).items() if len(each) > 1]


def stages_of(layers: Sequence[str]) -> dict[str, list[str]]:
    """Group layers by the first part of their names."""
    stages: dict[str, list[str]] = {}
    for layer in layers:
        stages.setdefault(layer.split(".")[0], []).append(layer)
    return stages


def sections_of(layers: Sequence[str]) -> Mapping[str, list[str]]:
    """Split consecutive layers into named sections of at most MOST_IN_SECTION.

    A section is what shares the start of its names; where that is too much, so many consecutive
    parts of it.
    """
    return dict(_sections(list(layers), 1))


def _sections(layers: list[str], depth: int) -> Iterator[tuple[str, list[str]]]:
    for prefix, names in _runs(layers, depth):
        if len(names) <= MOST_IN_SECTION:
            yield prefix, names
            continue
        parts: list[tuple[str, list[str]]] = []  # of the section that is being filled
        deeper = _runs(names, depth + 1) if _depth(names[0]) > depth else [(n, [n]) for n in names]
        number = -(-len(names) // MOST_IN_SECTION)
        for part, inside in deeper:
            if len(inside) > MOST_IN_SECTION:
                yield from _merged(parts)
                yield from _sections(inside, depth + 1)
                parts = []
                continue
            size = sum(len(each) for _, each in parts)
            if parts and (size + len(inside) > MOST_IN_SECTION or size * number >= len(names)):
                yield from _merged(parts)
                parts = []
            parts.append((part, inside))
        yield from _merged(parts)


def _merged(parts: list[tuple[str, list[str]]]) -> Iterator[tuple[str, list[str]]]:
    if parts:
        first, last = parts[0][0], parts[-1][0]
        name = first if first == last else f"{first} to {_end(first, last)}"
        yield name, [layer for _, inside in parts for layer in inside]


def _end(first: str, last: str) -> str:
    """Return what a reader needs of the last name: of layer2.4 and layer2.7 the 7."""
    start, end = (name.rpartition(".")[2] for name in (first, last))
    letters = end.rstrip(digits)
    return end.removeprefix(letters) if start.rstrip(digits) == letters else end


def _runs(layers: Sequence[str], depth: int) -> list[tuple[str, list[str]]]:
    """Return runs of consecutive layers whose names share the first `depth` parts."""
    runs = groupby(layers, key=lambda name: ".".join(name.split(".")[:depth]))
    return [(prefix, list(names)) for prefix, names in runs]


def _depth(name: str) -> int:
    return name.count(".") + 1
