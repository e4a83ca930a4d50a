"""Names from networks and files in Markdown."""

import re

_MARKUP = re.compile(r"([\\`*_\[\]<>~$:#|])")


def literal(text: str) -> str:
    """Escape a text so that Markdown shows it as it is."""
    return _MARKUP.sub(r"\\\1", text)
