"""Formatting numbers for users in one style: 91.7% ± 0.5, −44.1 points."""

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
