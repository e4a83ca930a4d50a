"""The exception for errors that the user can correct."""


class InputError(ValueError):
    """A message for the user: what is wrong, where, and how to correct it.

    The command line prints it and exits with 2; a page shows it as a warning.
    """
