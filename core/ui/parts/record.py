"""What a run of a page shows, kept for its report."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd
import streamlit as st

from core.charts import Drawing

KEY = "record"


@dataclass(frozen=True)
class Heading:
    """The question of a page, or the name of its open tab."""

    text: str
    is_tab: bool = False


@dataclass(frozen=True)
class Sentences:
    """What the numbers say, line by line, without markup."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Title:
    """The title of a part of the page, in Markdown."""

    text: str


@dataclass(frozen=True)
class Remark:
    """What is said beside a chart or a table, in Markdown."""

    text: str


@dataclass(frozen=True)
class Numbers:
    """The numbers of one card, by what they say."""

    name: str
    values: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Rows:
    """A table whose cells are shown as they are."""

    title: str
    frame: pd.DataFrame  # without its index


@dataclass(frozen=True, eq=False)
class NamedRows:
    """A table whose cells are Markdown, and whose index names the rows."""

    title: str
    frame: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Figure:
    drawing: Drawing
    alt: str


@dataclass(frozen=True)
class Pictures:
    """Pictures as HTML, with their texts escaped."""

    content: str


Item = Heading | Title | Sentences | Remark | Numbers | Rows | NamedRows | Figure | Pictures


@dataclass
class Record:
    """The items of one run, in the order in which their places were first filled."""

    _items: dict[tuple[type, str], Item] = field(default_factory=dict)

    def note(self, place: str, item: Item) -> None:
        """Keep an item, instead of an earlier one of its kind in the same place."""
        self._items[type(item), place] = item

    @property
    def items(self) -> tuple[Item, ...]:
        return tuple(self._items.values())

    @property
    def has_charts(self) -> bool:
        return any(isinstance(item, Figure) for item in self._items.values())

    @property
    def open_tabs(self) -> tuple[str, ...]:
        return tuple(
            item.text for item in self._items.values() if isinstance(item, Heading) and item.is_tab
        )


def new_record() -> Record:
    """Start the record of this run. That of an earlier run stays as it was for its report."""
    record = Record()
    st.session_state[KEY] = record
    return record


def note(place: str, item: Item) -> None:
    """Note in this run's record what was drawn in a place; call it after drawing.

    A run that was replaced by another one ends where it draws, so it notes nothing here.
    """
    record: Record = st.session_state.setdefault(KEY, Record())
    record.note(place, item)
