"""How many examples the property tests draw: `pytest --hypothesis-profile thorough` draws many."""

import os

from hypothesis import settings

USUAL = 100


def load_profile() -> None:
    """Draw the same examples in every run of CI, and others in each run elsewhere."""
    usual = settings(deadline=None, max_examples=USUAL)
    settings.register_profile("usual", usual)
    settings.register_profile("ci", usual, derandomize=True, print_blob=True)
    settings.register_profile("thorough", usual, max_examples=20 * USUAL)
    settings.load_profile("ci" if os.environ.get("CI") else "usual")


def expensive(examples: int) -> settings:
    """For a test whose examples take long: so many of them, and more in proportion if thorough."""
    return settings(max_examples=examples * settings().max_examples // USUAL)
