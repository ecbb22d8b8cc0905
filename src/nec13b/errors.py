"""The one exception that means "the user can mend this": recipes print its message on one line, without a traceback."""


class InputError(ValueError):
    """Something the user gave (a flag, a config, a file, a checkpoint) does not work.

    The message says what is wrong, where (file, line, field), and what to do, in one sentence or two.
    """


def one_line(error: BaseException, longest: int = 300) -> str:
    """What another library's exception says, on one line of at most so many characters; its kind if it says nothing."""
    return " ".join((str(error) or type(error).__name__).split())[:longest]
