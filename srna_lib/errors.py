"""The one error that users meet."""


class InputError(ValueError):
    """Something that the user gave is wrong.

    The message is one sentence that names the file or field, what was found and what is expected. The
    command line prints it without a traceback and leaves with exit code 2.
    """


class ReadError(InputError):
    """A user's file cannot be read as counts: the only error that `srna_lib.readers` lets out."""
