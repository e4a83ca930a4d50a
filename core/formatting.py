"""Formatting numbers for users in one style: 91.7% ± 0.5, −44.1 points."""

from collections.abc import Callable, Iterable, Sequence

MINUS = "\u2212"


def percent(part: float, digits: int = 1) -> str:
    """Format a fraction such as 0.917 as 91.7%."""
    return f"{decimal(100 * part, digits)}%"


def percent_within(part: float, low: float, high: float) -> str:
    """Format an accuracy with half the width of its interval, such as 91.7% ± 0.5."""
    return f"{percent(part)} ± {decimal(50 * (high - low))}"


def decimal(value: float, digits: int = 1) -> str:
    """Format a number with a true minus (U+2212), and without a sign if it rounds to zero."""
    rounded = round(value, digits) + 0.0  # turns -0.0 into 0.0
    return f"{rounded:.{digits}f}".replace("-", MINUS)


def change(value: float, digits: int = 1) -> str:
    """Format a difference with its sign, such as +0.3 or −44.1."""
    sign = "+" if round(value, digits) >= 0 else ""
    return sign + decimal(value, digits)


def capitalised(text: str) -> str:
    """Begin a sentence with a text whose other capitals stay as they are."""
    return text[:1].upper() + text[1:]


LONGEST_NAME = 20  # characters of a layer's name that fit beside a chart


def shortener(names: Iterable[str]) -> Callable[[str], str]:
    """Return a function that shortens the dotted names of layers, all in the same way.

    Where a name is too long, the first parts of all of them become a letter and their digits, such
    as f.d2.d13.conv1; as few parts as make all names fit, and no two the same. So the function
    shortens the start of a name in the same way as the whole name.
    """
    whole = list(names)
    deepest = max((name.count(".") for name in whole), default=0)

    def shorten(name: str, parts: int) -> str:
        first = name.replace("downsample.0", "down").split(".")
        number = min(parts, len(first) - 1)
        return ".".join([*map(_abbreviated, first[:number]), *first[number:]])

    fitting = 0
    for parts in range(deepest + 1):
        short = {shorten(name, parts) for name in whole}
        if len(short) < len(set(whole)):
            break
        fitting = parts
        if max(map(len, short), default=0) <= LONGEST_NAME:
            break
    return lambda name: shorten(name, fitting)


def _abbreviated(part: str) -> str:
    return part[:1] + "".join(character for character in part[1:] if character.isdigit())


def listed(names: Sequence[str]) -> str:
    """Join names as in a sentence: one, another and a third."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
