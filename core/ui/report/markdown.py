"""The Markdown of remarks as HTML."""

import html
import re

from core.ui.parts.plain import WORD_JOINER

INLINE = re.compile(
    r"""\\(?P<literal>[!-/:-@\[-`{-~])
    | \*\*(?P<strong>(?:\\.|[^\\*])+)\*\*
    | \*(?P<em>(?:\\.|[^\\*])+)\*
    | `(?P<code>[^`]+)`""",
    re.VERBOSE | re.DOTALL,
)


def html_of(markdown: str) -> str:
    """Return HTML for the Markdown of one paragraph; markup that it doesn't know stays text."""
    parts, end = [], 0
    for found in INLINE.finditer(markdown):
        parts += [_escaped(markdown[end : found.start()]), _element(found)]
        end = found.end()
    return "".join([*parts, _escaped(markdown[end:])])


def _element(found: re.Match[str]) -> str:
    tag = str(found.lastgroup)
    content = found[tag]
    if tag == "literal":
        return html.escape(content)
    return f"<{tag}>{html.escape(content) if tag == 'code' else html_of(content)}</{tag}>"


def _escaped(text: str) -> str:
    return html.escape(text.replace(WORD_JOINER, ""))
