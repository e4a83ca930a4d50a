"""The report: one file, complete in itself, of exactly what was drawn."""

import re
import shlex
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import altair as alt
import pandas as pd
import pytest

from core import charts
from core.charts import Drawing
from core.specs.recovery import Recovery
from core.specs.vocabulary import GRANULARITIES
from core.specs.written import point_of
from core.ui.parts.plain import plain
from core.ui.parts.record import (
    Figure,
    Heading,
    NamedRows,
    Numbers,
    Pictures,
    Record,
    Remark,
    Rows,
    Sentences,
    Title,
)
from core.ui.report.document import Report, document
from core.ui.report.markdown import html_of
from core.ui.report.words import commands_of, file_name, settings_in_words
from core.ui.sidebar.settings import Settings

HOSTILE = '<img src=x onerror="alert(1)">&"\'</script><script>alert(2)</script>'
LINK = "http://localhost:8501/layers?ratio=0.5&baseline=a"
MADE = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)
VOID = {"meta", "br", "img"}


class Reader(HTMLParser):
    """Reads a report: its tags and attributes, and the text of every element with a tag."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
            self.texts.append((tag, ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.texts:
            tag, text = self.texts[-1]
            self.texts[-1] = (tag, text + data)

    def of(self, tag: str) -> list[str]:
        return [text.strip() for each, text in self.texts if each == tag]


def curves(name: str = "layer1") -> Drawing:
    """Two lines with their marks clipped, so that the SVG refers to ids."""
    frame = pd.DataFrame({"x": [0, 1, 2], "y": [0.9, 0.5, 0.1], "name": [name, name, name]})
    chart = (
        alt.Chart(alt.NamedData("points"))
        .mark_line(clip=True)
        .encode(x="x:Q", y="y:Q", color=alt.Color("name:N"))
    )
    return Drawing(chart.to_dict(), {"points": frame})


def heatmap() -> Drawing:
    """A chart whose legend is filled with a gradient."""
    losses = pd.DataFrame({"unit": ["a"], "ratio": [0.5], "lost": [0.1], "accuracy": [0.8]})
    losses = losses.assign(low=0.7, high=0.9, correct=8, seen=10)
    return charts.sensitivity_heatmap(losses, {"a": "a"}, "a")


def report(*items: object, name: str = "Layers") -> str:
    record = Record()
    for place, item in enumerate(items):
        record.note(str(place), item)  # type: ignore[arg-type]
    return document(Report(name, LINK, {"Baseline": HOSTILE}, record), MADE, {"torch": "2.15.0"})


def svgs(text: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(each) for each in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]


def test_it_says_what_was_noted_in_order() -> None:
    found = Reader(
        report(
            Heading("What brings it back?"),
            Numbers("Fine-grained", {"Accuracy": "91.5%", "95% interval": "91.0% to 92.1%"}),
            Numbers("Channels", {"Accuracy": "66.7%", "95% interval": "65.8% to 67.6%"}),
            Sentences(("At 0.50, 91.5% ± 0.5.", "And 66.7% ± 0.9.")),
            Figure(curves(), "Accuracy by ratio"),
            Remark("Under it"),
            Title("**By hand**"),
            Rows("Counts", pd.DataFrame({"layer": ["conv1"], "weights": [1728], "part": [0.25]})),
            NamedRows("Costs", pd.DataFrame({"Baseline": ["555 M"]}, index=["MACs"])),
        )
    )
    assert found.of("title") == ["Layers · Pruning explorer"]
    assert found.of("h2") == ["What brings it back?"]
    assert found.of("caption") == ["Settings", "Counts", "Costs"]
    cells = found.of("td")
    for number in ("91.5%", "66.7%", "91.0% to 92.1%", "65.8% to 67.6%", "1,728", "0.25", "555 M"):
        assert cells.count(number) == 1
    assert cells.index("91.5%") + 1 == cells.index("66.7%")  # cards stand beside each other
    text = "".join(text for _, text in found.texts)
    places = [text.index(each) for each in ("91.5%", "At 0.50", "Accuracy by", "Under it", "1,728")]
    assert places == sorted(places)
    assert "2024-02-29 12:30 UTC" in text
    assert "torch 2.15.0" in text


def test_it_needs_nothing_from_anywhere() -> None:
    text = report(Figure(curves(), "one"), Figure(heatmap(), "two"))
    found = Reader(text)
    assert "<script" not in text.lower()
    assert not {tag for tag, _ in found.tags} & {"script", "link", "iframe", "object", "image"}
    for tag, attributes in found.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name, value in attributes.items():
            if "://" in str(value) or str(value).startswith("//"):
                assert (tag, name, value) == ("a", "href", LINK)
    assert found.of("a") == [LINK]
    assert "default-src 'none'" in text


def test_charts_are_valid_and_share_no_ids() -> None:
    found = svgs(report(*(Figure(each, "alt") for each in (curves(), heatmap(), curves()))))
    assert len(found) == 3
    ids = [element.get("id") for svg in found for element in svg.iter() if element.get("id")]
    assert len(ids) == len(set(ids)) > len(found)
    for svg in found:
        own = {f"#{element.get('id')}" for element in svg.iter()}
        values = [value for element in svg.iter() for value in element.attrib.values()]
        used = {each for value in values for each in re.findall(r"url\((#[^)]*)\)", value)}
        assert used
        assert used <= own


def test_a_chart_keeps_its_alt_text() -> None:
    text = report(Figure(curves(), "first"), Figure(curves(), HOSTILE))
    found = Reader(text)
    labels = {svg.get("aria-labelledby"): svg.get("role") for svg in svgs(text)}
    assert labels == {"caption-1": "img", "caption-2": "img"}
    named = [attributes["id"] for tag, attributes in found.tags if tag == "span"]
    assert dict(zip(named, found.of("span"), strict=True)) == {
        "caption-1": "first",
        "caption-2": HOSTILE,
    }


def test_names_are_never_markup() -> None:
    text = report(
        Heading(HOSTILE),
        Title(f"**{plain(HOSTILE)}**"),
        Sentences((HOSTILE,)),
        Remark(plain(HOSTILE)),
        Numbers(HOSTILE, {HOSTILE: HOSTILE}),
        Rows(HOSTILE, pd.DataFrame({HOSTILE: [HOSTILE]})),
        NamedRows(HOSTILE, pd.DataFrame({HOSTILE: [plain(HOSTILE)]}, index=[HOSTILE])),
        Figure(curves(HOSTILE), HOSTILE),
        name=HOSTILE,
    )
    found = Reader(text)
    assert not [tag for tag, _ in found.tags if tag in ("script", "img")]
    assert not [attributes for _, attributes in found.tags if "onerror" in attributes]
    shown = [text for _, text in found.texts]
    assert sum(HOSTILE in each for each in shown) >= 13  # as it is, wherever it stands
    assert svgs(text)


def test_pictures_stay_within_the_file() -> None:
    text = report(
        Pictures('<div class="gallery"><img src="data:image/png;base64,AA==" alt=""></div>')
    )
    sources = [attributes["src"] for tag, attributes in Reader(text).tags if tag == "img"]
    assert sources == ["data:image/png;base64,AA=="]


def test_a_place_keeps_what_was_drawn_there_last() -> None:
    record = Record()
    record.note("card", Numbers("Channels", {"Accuracy": "not measured"}))
    record.note("words", Sentences(()))
    record.note("card", Numbers("Channels", {"Accuracy": "66.7%"}))
    record.note("card", Title("of another kind"))
    numbers, _, title = record.items
    assert numbers == Numbers("Channels", {"Accuracy": "66.7%"})
    assert title == Title("of another kind")
    assert not record.has_charts


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("plain & simple", "plain &amp; simple"),
        ("**conv1** is *not* `so`", "<strong>conv1</strong> is <em>not</em> <code>so</code>"),
        ("1 - 0.5² = **75%", "1 - 0.5² = **75%"),
        ("<b>x</b>", "&lt;b&gt;x&lt;/b&gt;"),
        (r"\*\*a\*\*", "**a**"),
        (f"**{plain('a*b')}**", "<strong>a*b</strong>"),
        (f"*{plain('<i>_x_')}*", "<em>&lt;i&gt;_x_</em>"),
        (plain("www.example.org :smile: a@b.de"), "www.example.org :smile: a@b.de"),
    ],
)
def test_markdown_becomes_html(markdown: str, expected: str) -> None:
    assert html_of(markdown) == expected


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr("core.ui.report.words._baseline", lambda _: "Größe: <b>/..\\CON?* 網絡")
    return Settings(
        dataset="digits",
        baseline=None,
        subset=1000,
        seed=3,
        ratio=0.5,
        match="ratio",
        recovery=Recovery.named("bn"),
        weight_allocation="global",
        weight_criterion="l1",
        criterion="l2",
        channel_allocation="global",
        scope="internal",
        channel_method="hybrid",
        rest_ratio=0.4,
        ceiling=0.75,
        floor=0.25,
        round_to=8,
    )


def test_the_name_of_the_file_is_safe_and_says_what_it_holds(settings: Settings) -> None:
    name = file_name(["Layers", "By hand"], settings)
    assert name == "pruning-layers-by-hand-groe-b-..-con-0.50-bn-recalibrated.html"
    assert re.fullmatch(r"[a-z0-9][a-z0-9_.-]{1,200}\.html", file_name(["x" * 500] * 3, settings))


def test_every_setting_is_said(settings: Settings) -> None:
    said = settings_in_words(settings)
    assert said["Test images asked for"] == "1,000, seed 3"
    assert said["Pruning ratio"] == "0.50"
    assert said["After pruning"] == "BN recalibrated"
    for part in ("hybrid", "L2", "global", "internal", "0.40", "75%", "25%", "multiple of 8"):
        assert part in said["Channels"]
    assert "L1" in said["Fine-grained"]


def test_a_command_measures_each_method_again(settings: Settings) -> None:
    assert commands_of(settings) == {}  # without a baseline
    chosen = replace(settings, baseline=Path("/home/somebody/own.safetensors"))
    found = commands_of(chosen)
    assert found.keys() == {f"Again, {name}" for name in GRANULARITIES}
    for name in GRANULARITIES:
        program = shlex.split(found[f"Again, {name}"])
        assert program[:5] == ["python", "-m", "core", "compare", "unpruned"]
        assert point_of(program[5]) == settings.point(name, settings.ratio)
        options = dict(zip(program[6::2], program[7::2], strict=True))
        assert options["--baseline"] == "own.safetensors"
        assert (options["--subset"], options["--seed"]) == ("1000", "3")
    assert commands_of(replace(chosen, match="parameters")) == {}
    assert commands_of(replace(chosen, ratio=0.0, rest_ratio=0.0)) == {}
