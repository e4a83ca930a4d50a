"""Charts as SVG within a page of HTML."""

import re
from xml.etree import ElementTree

from core.charts import Drawing
from core.ui.parts.downloads import svg_of

NAMESPACE = re.compile(r"\{[^}]*\}")
REFERENCE = re.compile(r"url\(#([^)]+)\)")


def inline_svg(drawing: Drawing, name: str, caption: str) -> str:
    """Return a chart as an SVG element that shares no ids with others of its page.

    `name` is its own id, and `caption` that of the element with its alt text.
    """
    root = ElementTree.fromstring(svg_of(drawing))
    for element in root.iter():
        element.tag = NAMESPACE.sub("", element.tag)  # HTML knows SVG without it
        for key, value in list(element.attrib.items()):
            del element.attrib[key]
            element.set(NAMESPACE.sub("", key), _own(key, value, name))
    root.attrib |= {"id": name, "role": "img", "aria-labelledby": caption}
    return ElementTree.tostring(root, encoding="unicode")


def _own(key: str, value: str, name: str) -> str:
    """Return an attribute's value with `name` before every id."""
    if key == "id":
        return f"{name}-{value}"
    if key.endswith("href"):
        return re.sub("^#", f"#{name}-", value)
    return REFERENCE.sub(rf"url(#{name}-\1)", value)
