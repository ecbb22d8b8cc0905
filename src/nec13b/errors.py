"""The one exception that means "the user can mend this": recipes print its message on one line, without a traceback."""


class InputError(ValueError):
    """Something the user gave (a flag, a config, a file, a checkpoint) does not work.

    The message says what is wrong, where (file, line, field), and what to do, in one sentence or two.
    """
