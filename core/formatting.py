"""How numbers are written for people, in one style everywhere: 91.7% ± 0.5, −44.1 points."""

MINUS = "\u2212"


def percent(part: float, digits: int = 1) -> str:
    """Write a part of 1, such as 0.917, as 91.7%."""
    return f"{decimal(100 * part, digits)}%"


def percent_within(part: float, low: float, high: float) -> str:
    """Write an accuracy with half the width of its interval, such as 91.7% ± 0.5."""
    return f"{percent(part)} ± {decimal(50 * (high - low))}"


def decimal(value: float, digits: int = 1) -> str:
    """Write a number with a true minus, and what rounds to zero without a sign."""
    rounded = round(value, digits) + 0.0  # which makes 0.0 of -0.0
    return f"{rounded:.{digits}f}".replace("-", MINUS)


def change(value: float, digits: int = 1) -> str:
    """Write a difference with its sign, such as +0.3 or −44.1."""
    sign = "+" if round(value, digits) >= 0 else ""
    return sign + decimal(value, digits)
