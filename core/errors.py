"""The exception for errors that the user can correct, and the text of any exception."""


class InputError(ValueError):
    """A message for the user: what is wrong, where, and how to correct it.

    The command line prints it and exits with 2; a page shows it as a warning.
    """


def one_line(error: BaseException) -> str:
    """Return an exception's type and message in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
