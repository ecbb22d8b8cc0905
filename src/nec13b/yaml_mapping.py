"""Reading a YAML file that a user has written."""

from pathlib import Path
from typing import Any

import yaml

from .errors import InputError, one_line


def read_yaml_mapping(path: Path, what: str) -> dict[str, Any]:
    """The keys and values of a file; an empty file has none.

    Args:
        path: the file.
        what: it holds, for the message: `the rules`.

    Raises:
        InputError: it cannot be read, is not YAML, or holds something else than keys and values.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {what} {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid YAML: {one_line(error)}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(f"{path} must hold key: value pairs, not a {type(values).__name__}")
    return {str(key): value for key, value in values.items()}
