"""Text that people wrote, such as names of files and classes, shown as it is."""

import re

import streamlit as st

from core.errors import InputError

MARKUP = re.compile(
    r"""[\\`*\[\]<>~$|&]        # anywhere
    | (?<![^\W_])_ | _(?![^\W_])  # not within a word
    | :(?=\w)
    | ^[-+#=]                     # as the first character of a line
    | (?<=^\d)[.)] | (?<=^\d\d)[.)] | (?<=^\d{3})[.)]""",
    re.MULTILINE | re.VERBOSE,
)
# Streamlit looks for emoji and addresses where the escapes are gone already.
BEHIND_ESCAPES = re.compile(r"(?<=:)(?=[\w+-]+:)|(?<=\bwww)(?=\.)|(?<=@)(?=[\w-]+\.\w)")
WORD_JOINER = "\u2060"  # has no width


def plain(text: str) -> str:
    """Return Markdown that shows `text` without reading any markup in it.

    Text that could not be markup is returned as it is, because it may become part of a URL.
    """
    return MARKUP.sub(r"\\\g<0>", BEHIND_ESCAPES.sub(WORD_JOINER, text.strip()))


def warn(error: InputError, icon: str = "warning") -> None:
    """Show an error that the user can correct; it may name files and classes as they are."""
    st.warning(plain(str(error)), icon=f":material/{icon}:")
