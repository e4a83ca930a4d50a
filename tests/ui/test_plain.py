"""Names are shown as they are."""

import pytest

from core.ui.parts.plain import plain


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("layer1.0.conv1", "layer1.0.conv1"),
        ("_conv_", r"\_conv\_"),
        ("a **b** `c`", r"a \*\*b\*\* \`c\`"),
        ("[x](javascript:alert(1))", r"\[x\](javascript\:alert(1))"),
        ("$x$ :red[y] <b> ~z~ #h |", r"\$x\$ \:red\[y\] \<b\> \~z\~ #h \|"),
        ("# a heading\n1. a list\n- another", "\\# a heading\n1\\. a list\n\\- another"),
        (r"a\*b", r"a\\\*b"),
    ],
)
def test_markup_is_escaped(text: str, escaped: str) -> None:
    assert plain(text) == escaped
