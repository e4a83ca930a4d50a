"""A report as one file of HTML that needs nothing else."""

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count, groupby
from numbers import Integral
from typing import Any

import pandas as pd

from core.ui.parts import gallery
from core.ui.parts.record import (
    Figure,
    Heading,
    Item,
    NamedRows,
    Numbers,
    Pictures,
    Record,
    Remark,
    Rows,
    Sentences,
    Title,
)
from core.ui.report.drawn import inline_svg
from core.ui.report.markdown import html_of

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"  # nothing from anywhere
STYLE = """<style>
:root { color-scheme: light; }
body { margin: 2rem auto; padding: 0 1rem; max-width: 50rem; background: white; color: #1a1a1a;
  font: 1rem/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { margin: 0; font-size: 1.6rem; line-height: 1.2; }
h2 { margin: 1.75rem 0 0.5rem; font-size: 1.2rem; line-height: 1.25; }
h3 { margin: 1rem 0 0.5rem; font-size: 1rem; font-weight: 400; }
p { margin: 0.5rem 0; }
a { color: #00598C; }
.remark, footer { color: #555; font-size: 0.875rem; }
.wide { margin: 1rem 0; overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.875rem;
  font-variant-numeric: tabular-nums; overflow-wrap: break-word; }
caption { padding-bottom: 0.25rem; font-weight: 600; text-align: left; }
th, td { padding: 0.25rem 1rem 0.25rem 0; border-top: 1px solid #ddd; text-align: left;
  vertical-align: top; }
thead :is(th, td) { border-top: 0; }
tbody th { font-weight: 400; color: #555; }
td.number, th.number { text-align: right; }
figure { margin: 1rem 0 0.75rem; }
figure :is(svg, img) { display: block; max-width: 100%; height: auto; }
figcaption { margin-top: 0.5rem; color: #555; font-size: 0.875rem; }
footer { margin-top: 2rem; padding-top: 0.5rem; border-top: 1px solid #ddd; }
@page { margin: 15mm; }
@media print {
  html { font-size: 10pt; }
  body { margin: 0; padding: 0; max-width: none; }
  .wide { overflow: visible; }
  figure, tr, caption { break-inside: avoid; }
  h1, h2, h3, caption, thead, p:has(+ figure) { break-after: avoid; }
  p { orphans: 3; widows: 3; }
  figure svg { max-height: 230mm; }
}
</style>"""


@dataclass(frozen=True, eq=False)
class Report:
    """What is known of a view when its page has been drawn."""

    page: str  # its title
    link: str
    settings: Mapping[str, str]  # in words
    record: Record


def document(report: Report, made: datetime, versions: Mapping[str, str]) -> str:
    """Return the file: nothing in it is markup but what is written here, and the charts."""
    link = html.escape(report.link)
    title = f"{html.escape(report.page)} · Pruning explorer"
    when = f"{made:%Y-%m-%d %H:%M} {made.tzname() or ''}".strip()
    software = ", ".join(f"{name} {version}" for name, version in versions.items())
    body = "\n".join(_body(report.record.items))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{title}</title>
{STYLE}
{gallery.STYLE}
</head>
<body>
<h1>{title}</h1>
<p class="remark">Made on {html.escape(when)} from <a href="{link}">{link}</a></p>
{_table("Settings", [], _named(report.settings))}
{body}
<footer>Made with {html.escape(software)}.</footer>
</body>
</html>
"""


def _body(items: Sequence[Item]) -> Iterator[str]:
    """Write the items in their order; numbers that follow each other share a table."""
    numbers = count(1)
    for is_numbers, run in groupby(items, lambda item: isinstance(item, Numbers)):
        if is_numbers:
            yield _cards([item for item in run if isinstance(item, Numbers)])
        else:
            yield from (_item(item, numbers) for item in run)


def _item(item: Item, numbers: Iterator[int]) -> str:
    match item:
        case Heading(text=text):
            return f"<h2>{html.escape(text)}</h2>"
        case Title(text):
            return f"<h3>{html_of(text)}</h3>"
        case Sentences(lines):
            return f"<p>{'<br>'.join(map(html.escape, lines))}</p>" if lines else ""
        case Remark(text):
            return f'<p class="remark">{html_of(text)}</p>'
        case Rows(title, frame):
            rows = [[_cell(each) for each in row] for row in frame.itertuples(index=False)]
            return _table(title, _header(frame), rows)
        case NamedRows(title, frame):
            named = [
                [_name(str(row[0])), *(f"<td>{html_of(str(each))}</td>" for each in row[1:])]
                for row in frame.itertuples()
            ]
            return _table(title, ["<td></td>", *map(_column, frame.columns)], named)
        case Figure(drawing, alt):
            number = next(numbers)
            caption = f"caption-{number}"
            return (
                f"<figure>{inline_svg(drawing, f'chart-{number}', caption)}"
                f'<figcaption>Figure {number}. <span id="{caption}">{html.escape(alt)}</span>'
                "</figcaption></figure>"
            )
        case Pictures(content):
            return content
        case Numbers():
            return _cards([item])


def _cards(cards: Sequence[Numbers]) -> str:
    """Write cards beside each other: a row for each of their values, a column for each card."""
    names = dict.fromkeys(name for card in cards for name in card.values)
    rows = [[_name(name), *(_cell(card.values.get(name, "")) for card in cards)] for name in names]
    return _table("", ["<td></td>", *(_column(card.name) for card in cards)], rows)


def _named(values: Mapping[str, str]) -> list[list[str]]:
    return [[_name(name), _cell(value)] for name, value in values.items()]


def _name(text: str) -> str:
    return f'<th scope="row">{html.escape(text)}</th>'


def _cell(value: Any) -> str:
    """Write a value as it is; numbers stand at the right."""
    if isinstance(value, str):
        return f"<td>{html.escape(value)}</td>"
    number = f"{value:,}" if isinstance(value, Integral) else f"{value:g}"
    return f'<td class="number">{number}</td>'


def _header(frame: pd.DataFrame) -> list[str]:
    return [
        _column(str(name), "number" if pd.api.types.is_numeric_dtype(kind) else "text")
        for name, kind in frame.dtypes.items()
    ]


def _column(name: str, kind: str = "text") -> str:
    return f'<th scope="col" class="{kind}">{html.escape(name)}</th>'


def _table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Put cells together, which are HTML."""
    caption = f"<caption>{html.escape(title)}</caption>" if title else ""
    head = f"<thead><tr>{''.join(header)}</tr></thead>" if header else ""
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    table = f"<table>{caption}{head}<tbody>{body}</tbody></table>"
    return f'<div class="wide">{table}</div>'
