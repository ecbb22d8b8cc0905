"""What a command would do, said before it does it: `--dry_run` of every recipe.

A dry run knows the settings and nothing else. It looks whether the inputs they name lie on this machine, reckons what
follows from the numbers, and asks neither the Hub nor an endpoint. A mistake in the settings ends it as it would end
the run; an input that is not there yet does not, since whoever plans a pipeline has none of them.

A room says what its recipe would do in a function from its settings to a `DryRun`; `parse_recipe_config` prints it.
"""

import glob
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
OURS = ("runs", "data", "recipes", "evaluation")  # a name of two parts that begins so is a folder, not the Hub's
MOST_FILES = 100_000


@dataclass(frozen=True)
class DryRunInput:
    """Something that a command reads.

    Attributes:
        setting: the setting, or the environment variable, that names it.
        place: what it names.
        found: what is known of it.
        missing: whether it has to be made or fetched before the command can run.
    """

    setting: str
    place: str
    found: str
    missing: bool = False


@dataclass(frozen=True)
class DryRun:
    """What a command would read, do and write.

    Attributes:
        inputs: what it reads.
        plan: what it does, a line each.
        output: the folder it writes to; empty where it writes none.
        files: what it writes there, for people.
    """

    inputs: tuple[DryRunInput, ...]
    plan: tuple[str, ...]
    output: str = ""
    files: str = ""

    def page(self) -> str:
        """All of it, for a terminal."""
        lines = ["Reads"]
        wide = max((len(each.setting) for each in self.inputs), default=0)
        far = max((len(each.place) for each in self.inputs), default=0)
        lines += [f"  {each.setting:<{wide}}  {each.place:<{far}}  {each.found}" for each in self.inputs]
        lines += ["  nothing"] if not self.inputs else []
        lines += ["", "Does", *(f"  {line}" for line in self.plan)]
        if self.output:
            lines += ["", "Writes", f"  {self.output}  {state_of_output(self.output)}"]
            lines += [f"  {self.files}"] if self.files else []
        missing = list(dict.fromkeys(each.setting for each in self.inputs if each.missing))
        last = f"Missing: {', '.join(missing)}." if missing else "No input is missing."
        return "\n".join([*lines, "", f"{last} This was a dry run: nothing was made, fetched or asked."])


def made_by(recipe: str) -> str:
    """How it is said where a missing input comes from."""
    return f"{recipe} makes it"


def corpus_inputs(setting: str, entries: str | dict | Iterable, hint: str = "") -> list[DryRunInput]:
    """The entries of `corpus`, `dialogues`, `preferences` and the like: sample, files, folders, patterns, hub: names.

    Args:
        setting: its name.
        entries: one, or a list of them; what follows a comma are options.
        hint: said of one that is missing.
    """
    if isinstance(entries, (str, dict)):
        entries = [entries]
    inputs = []
    for entry in entries:
        place = str(entry.get("location", "")) if isinstance(entry, dict) else str(entry).split(",")[0]
        if place == "sample":
            inputs.append(DryRunInput(setting, place, "comes with nec13b; name your own for a real run"))
        elif place.startswith("hub:"):
            inputs.append(DryRunInput(setting, place, "a data set of the Hub, fetched when the command runs"))
        else:
            inputs.append(file_input(setting, place, hint))
    return inputs


def file_input(setting: str, place: str, hint: str = "") -> DryRunInput:
    """A file, a folder or a pattern.

    Args:
        setting: its name.
        place: the path.
        hint: said where it is missing.
    """
    path = Path(place).expanduser()
    paths = [path] if path.exists() else [Path(found) for found in glob.glob(str(path), recursive=True)]
    if not paths:
        return DryRunInput(setting, place, "missing" + (f"; {hint}" if hint else ""), missing=True)
    return DryRunInput(setting, place, _size_of(paths))


def checkpoint_input(setting: str, place: str | None, hint: str = "") -> DryRunInput:
    """A model or tokenizer: a folder, a file, or a name on the Hub, which is looked for in the cache here only."""
    if not place:
        return DryRunInput(setting, "-", "missing; " + (hint or f"name one with --{setting}"), missing=True)
    if Path(place).expanduser().exists() or not is_hub_name(place):
        return file_input(setting, place, hint)
    cached = any(
        isinstance(try_to_load_from_cache(place, name), str) for name in ("config.json", "tokenizer_config.json")
    )
    found = (
        "a name of the Hub, in this machine's cache" if cached else "a name of the Hub, fetched when the command runs"
    )
    return DryRunInput(setting, place, found)


def is_hub_name(place: str) -> bool:
    """Whether a name is one of the Hub's, `owner/name`, rather than a folder that is not there yet."""
    first = place.partition("/")[0]
    return bool(HUB_NAME.fullmatch(place)) and first not in (*OURS, ".", "..") and not Path(first).is_dir()


def generator_inputs(config) -> list[DryRunInput]:
    """The model that a generator asks, and the key where an endpoint may want one; `config` has RunningSettings."""
    if config.generator != "endpoint":
        return [checkpoint_input("model", config.model, "recipes/chat_tune.py or align.py makes it")]
    return [
        DryRunInput("base_url", config.base_url, f"asked for {config.model} when the command runs"),
        key_input(config),
    ]


def key_input(config) -> DryRunInput:
    """The environment variable with an endpoint's key; its value is not looked at."""
    is_set = bool(os.environ.get(config.api_key_variable))
    found = "set" if is_set else "not set; a server of your own wants none"
    return DryRunInput("api_key_variable", f"${config.api_key_variable}", found)


def state_of_output(folder: str) -> str:
    """What lies in a folder that would be written to, and how much room its disk has."""
    path = Path(folder).expanduser()
    there = sum(1 for _ in path.iterdir()) if path.is_dir() else 0
    state = f"holds {there:,} entries of before" if there else "is new"
    parent = next((each for each in (path.absolute(), *path.absolute().parents) if each.exists()), Path("/"))
    return f"{state}; {size_text(shutil.disk_usage(parent).free)} free on its disk"


def size_text(size: float) -> str:
    """Bytes for people, in powers of ten."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def _size_of(paths: list[Path]) -> str:
    files = (
        Path(folder, name) for path in paths if path.is_dir() for folder, _, names in os.walk(path) for name in names
    )
    count = size = 0
    for file in (*(path for path in paths if path.is_file()), *files):
        if count == MOST_FILES:
            return f"there, more than {count:,} files"
        try:
            size += file.stat().st_size
        except OSError:  # a link to nowhere
            continue
        count += 1
    return f"there, {count:,} file{'' if count == 1 else 's'}, {size_text(size)}"
