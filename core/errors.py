"""The one exception for input that a person can put right."""


class InputError(ValueError):
    """One sentence for a person: what is wrong, where, and what to do about it.

    The command line prints it and exits with 2; a page shows it as a calm message.
    """
