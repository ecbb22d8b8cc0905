"""How a recipe gets its settings: one dataclass, a YAML file and flags, checked before any work starts.

The parser is trl's (`--config file.yaml`, flags win); this module adds what a recipe of this house promises. Without
`--config` the tiny preset beside the recipe is read, so every recipe runs with no argument. YAML values pass the same
type checks as flags. And whatever is wrong ends in one line that names the file and the key.
"""

import difflib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_args, get_origin, get_type_hints

from transformers.utils.logging import disable_progress_bar
from trl import TrlParser

from .dry_run import DryRun
from .errors import InputError, one_line
from .yaml_mapping import read_yaml_mapping

Config = TypeVar("Config")
SECONDS_FOR_THE_FIRST = 5
DRY_RUN_FLAG = "--dry_run"


class SettingsError(InputError):
    """A mistake in the settings: all processes of a launch find it alike, so only one of them needs to speak."""


class RecipeParser(TrlParser):
    """trl's parser of one dataclass, whose errors are one line instead of a page of usage."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def parse_recipe_config(
    config_class: type[Config],
    recipe: str,
    arguments: list[str] | None = None,
    preset: str | None = None,
    dry_run: Callable[[Config], DryRun] | None = None,
) -> Config:
    """The settings of one recipe.

    Args:
        config_class: the recipe's dataclass.
        recipe: path of the recipe script; its tiny preset is `configs/tiny/<name>.yaml` beside it.
        arguments: the command line; None takes `sys.argv`.
        preset: name of another recipe, whose tiny preset this one takes.
        dry_run: says what the recipe would do with its settings; with it the recipe takes `--dry_run`.

    Raises:
        SettingsError: a file that does not exist or is not a mapping, an unknown key or flag, a value of a wrong type.
        SystemExit: a dry run was asked for; it is printed, and the status is 0.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        is_dry, arguments = _take_dry_run_flag(arguments) if dry_run else (False, arguments)
        config = _parse(config_class, recipe, arguments, preset, dry_run is not None)
        page = dry_run(config).page() if dry_run and is_dry else ""
    except InputError as error:
        raise SettingsError(str(error)) from error
    if is_dry:
        if os.environ.get("RANK", "0") == "0":
            print(page)
        raise SystemExit(0)
    return config


def _parse(
    config_class: type[Config], recipe: str, arguments: list[str], preset: str | None, has_dry_run: bool
) -> Config:
    preset_path = Path(recipe).resolve().parent / "configs" / "tiny" / f"{preset or Path(recipe).stem}.yaml"
    config_path, arguments = _take_config_flag(arguments)
    parser = RecipeParser([config_class], prog=Path(recipe).name, description=config_class.__doc__)
    if has_dry_run:  # it was taken out of the arguments before; --help is to show it
        parser.add_argument(DRY_RUN_FLAG, action="store_true", help="Say what would be read, done and written; do not.")
    known = [field.name for field in fields(config_class) if field.init]

    path = Path(config_path) if config_path else preset_path
    values = read_yaml_mapping(path, "config")
    for key in values:
        _check_known(key, known, f"{path}: unknown key {key!r}")
    # None, and a list where one value or a list may stand, cannot be written as flags; they are set as they are.
    as_they_are = {
        key: value for key, value in values.items() if value is None or _is_free_list(config_class, key, value)
    }
    try:
        typed, unread = parser.parse_known_args(_as_flags({k: v for k, v in values.items() if k not in as_they_are}))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if unread:
        key = next(key for key, value in values.items() if isinstance(value, list) and str(value[-1]) == unread[-1])
        raise InputError(f"{path}: {key} takes one value, not a list")
    checked = {key: getattr(typed, key) for key in values if key not in as_they_are}
    parser.set_defaults_with_config(**checked, **as_they_are)

    _, unknown = parser.parse_known_args(arguments)
    for flag in unknown:
        if flag.startswith("--"):
            _check_known(flag.removeprefix("--").partition("=")[0], known, f"unknown flag {flag}")
    if unknown:
        raise InputError(f"unexpected argument {unknown[0]!r}; flags are written --name value")
    try:
        return parser.parse_args_into_dataclasses(arguments, look_for_args_file=False)[0]
    except InputError:
        raise
    except (ValueError, TypeError) as error:  # TrainingArguments' own checks
        raise InputError(one_line(error)) from error


def parse_mapping(
    name: str, value: dict | str | None, convert: Callable[[Any], Any] = lambda value: value
) -> dict | None:
    """A setting that is a mapping, as YAML gives it or as a flag does: `{"ja": 0.5}` or `ja=0.5,en=0.5`.

    Args:
        name: the setting's, for the message.
        value: what was given.
        convert: applied to each value.

    Raises:
        InputError: it is neither form, or a value cannot be converted.
    """
    if not value:
        return None
    try:
        if isinstance(value, str):
            if value.startswith("{"):
                value = json.loads(value)
            else:
                value = {key.strip(): part.strip() for key, part in (item.split("=") for item in value.split(","))}
        return {str(key): convert(part) for key, part in value.items()}
    except (ValueError, TypeError, AttributeError):
        raise InputError(
            f'{name} must look like ja=0.45,en=0.35 or {{"ja": 0.45, "en": 0.35}}, not {value!r}'
        ) from None


def run_recipe(main: Callable[[], None]) -> NoReturn:
    """Runs a recipe's main function; a mistake of the user's ends in one line on stderr and exit status 2."""
    disable_progress_bar()  # of loading weights; the recipes have one bar, for the long work
    try:
        main()
    except KeyboardInterrupt:
        print("\ninterrupted; nothing half-written was kept", file=sys.stderr)
        raise SystemExit(130) from None
    except InputError as error:
        rank = int(os.environ.get("RANK", "0"))
        if rank > 0:
            # Where all processes fail alike, the first speaks and the launcher ends the others while they wait here.
            time.sleep(SECONDS_FOR_THE_FIRST)
        if rank == 0:
            print(f"error: {error}", file=sys.stderr)
        elif not isinstance(error, SettingsError):
            print(f"error on process {rank}: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    raise SystemExit(0)


def _take_dry_run_flag(arguments: list[str]) -> tuple[bool, list[str]]:
    """Whether `--dry_run`, `--dry_run true` or `--dry_run=true` is among the arguments, and the others."""
    is_dry, rest, i = False, [], 0
    while i < len(arguments):
        flag, equals, value = arguments[i].partition("=")
        if flag.replace("-", "_") == "__dry_run":
            following = arguments[i + 1] if i + 1 < len(arguments) else ""
            if not equals and following.lower() in ("true", "false"):
                i, equals, value = i + 1, "=", following
            if equals and value.lower() not in ("true", "false"):
                raise InputError(f"{DRY_RUN_FLAG} is true or false, not {value!r}")
            is_dry = not equals or value.lower() == "true"
        else:
            rest.append(arguments[i])
        i += 1
    return is_dry, rest


def _take_config_flag(arguments: list[str]) -> tuple[str | None, list[str]]:
    path, rest, i = None, [], 0
    while i < len(arguments):
        flag, equals, value = arguments[i].partition("=")
        if flag == "--config":
            if not equals:
                i += 1
                if i == len(arguments):
                    raise InputError("--config needs a path")
                value = arguments[i]
            path = value
        else:
            rest.append(arguments[i])
        i += 1
    return path, rest


def _is_free_list(config_class: type, key: str, value) -> bool:
    """Whether the value is a list for a field such as `str | list[str]`, which the parser reads as one string."""
    hint = get_type_hints(config_class)[key]
    return (
        isinstance(value, list) and get_origin(hint) is not list and any(get_origin(a) is list for a in get_args(hint))
    )


def _check_known(key: str, known: list[str], message: str) -> None:
    name = key.replace("-", "_")
    if name in known or (name.startswith("no_") and name[3:] in known):
        return
    close = difflib.get_close_matches(name, known, n=1)
    raise InputError(message + (f"; did you mean {close[0]}?" if close else "; --help lists all"))


def _as_flags(values: dict) -> list[str]:
    """YAML values as command-line words, so that both are checked by the same rules."""
    words = []
    for key, value in values.items():
        if value is None:
            continue
        if isinstance(value, list):
            if value:
                words += [f"--{key}", *(json.dumps(v) if isinstance(v, (dict, list)) else str(v) for v in value)]
        else:
            words.append(f"--{key}={json.dumps(value) if isinstance(value, dict) else value}")
    return words
