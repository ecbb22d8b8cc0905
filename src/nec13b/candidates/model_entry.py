"""A model that answers, and how: one entry of `--models`.

runs/chat_tune/model
runs/chat_tune/model,temperature=0.7,seed=5
models/smollm2.gguf,answers=2
nec13b,generator=endpoint,base_url=http://127.0.0.1:8000/v1
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..generation.generator import Sampling
from ..generation.generator_settings import GeneratorSettings, RunningSettings

RUNNING = ("generator", "gguf_file", "dtype", "batch_size", "concurrency", "base_url", "api_key_variable",
           "prompt_price", "completion_price")  # fmt: skip
OPTIONS = {"temperature": float, "top_p": float, "seed": int, "answers": int, "label": str}
WEIGHTS = ("*.safetensors", "*.gguf", "*.bin")
HASHED_BYTES = 1 << 20


@dataclass(frozen=True)
class ModelEntry:
    """One model with one way of sampling.

    Attributes:
        settings: which model, and where it runs.
        sampling: how.
        seed: decides its answers, together with the prompt.
        answers: to each prompt.
        label: what the entry is called; no two have the same.
    """

    settings: GeneratorSettings
    sampling: Sampling
    seed: int
    answers: int
    label: str

    def identity(self) -> dict[str, Any]:
        """What decides its answers, and so may not change while they are made."""
        where = {name: getattr(self.settings, name) for name in ("generator", "model", "gguf_file")}
        return {**where, "fingerprint": fingerprint_of_model(self.settings), **self.sampling.to_row(),
                "seed": self.seed, "answers": self.answers, "label": self.label}  # fmt: skip

    def seed_of(self, prompt_key: str, number: int) -> int:
        """The seed of an answer: another for each prompt and number, the same whenever it is asked for.

        The entry's label has a part in it, too: by one seed, two temperatures would give answers that are alike.

        Args:
            prompt_key: of the prompt.
            number: of the answer, from 1.
        """
        digest = hashlib.sha256(f"{self.seed} {self.label} {prompt_key} {number}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1  # servers take 31 bits


def parse_models(
    entries: Any, shared: RunningSettings, sampling: Sampling, seed: int, answers: int
) -> list[ModelEntry]:
    """The entries of a `models:` setting, each with what it does not say itself from the shared settings.

    Args:
        entries: one string or mapping, or a list of them.
        shared: where models run.
        sampling, seed, answers: of entries that do not say theirs.

    Raises:
        InputError: an entry that names no model, has an unknown option or a value of the wrong kind.
    """
    if isinstance(entries, (str, dict)):
        entries = [entries]
    if not entries:
        raise InputError("models is empty; name at least one chat model")
    models: list[ModelEntry] = []
    for entry in entries:
        model, options = _parsed(entry)
        running = {name: value for name, value in options.items() if name in RUNNING}
        settings = {field.name: getattr(shared, field.name) for field in fields(RunningSettings)} | running
        if model.endswith(".gguf"):
            model, settings["gguf_file"] = str(Path(model).parent), Path(model).name
        settings = GeneratorSettings(**settings, model=model)
        settings.check_generator_settings()
        drawn = {name: options[name] for name in ("temperature", "top_p") if name in options}
        own = dataclasses.replace(sampling, **drawn)
        wanted = options.get("answers", answers)
        if own.temperature < 0 or not 0 < own.top_p <= 1 or wanted < 1:
            raise InputError(
                f"models entry {entry!r}: temperature must not be negative, top_p must lie above 0 and at most be 1, "
                "answers at least be 1"
            )
        # The likeliest token each time gives the same answer each time.
        wanted = wanted if own.temperature else 1
        label = options.get("label") or _label(model, settings.gguf_file, own.temperature)
        taken = {other.label for other in models}
        number, unique = 1, label
        while unique in taken:
            number, unique = number + 1, f"{label}-{number + 1}"
        models.append(ModelEntry(settings, own, options.get("seed", seed), wanted, unique))
    return models


def fingerprint_of_model(settings: GeneratorSettings) -> str:
    """What tells the weights in a local folder from others, without reading all of them; empty for other places.

    A digest of the configuration and of each weight file's name, size, beginning and end.
    """
    folder = Path(settings.model).expanduser()
    if settings.generator == "endpoint" or not folder.is_dir():
        return ""
    names = [settings.gguf_file] if settings.gguf_file else sorted(
        path.name for pattern in WEIGHTS for path in folder.glob(pattern)
    )  # fmt: skip
    digest = hashlib.sha256()
    for path in (folder / name for name in ("config.json", "adapter_config.json", *names)):
        if not path.is_file():
            continue
        with path.open("rb") as file:
            size = path.stat().st_size
            digest.update(f"{path.name} {size}".encode() + file.read(HASHED_BYTES))
            file.seek(max(0, size - HASHED_BYTES))
            digest.update(file.read())
    return "sha256:" + digest.hexdigest()


def _parsed(entry: Any) -> tuple[str, dict[str, Any]]:
    """The model's name, and the options with their types."""
    if isinstance(entry, str) and entry.startswith("{"):  # a mapping of a YAML file, passed on as a flag
        try:
            entry = json.loads(entry)
        except json.JSONDecodeError as error:
            raise InputError(f"models entry {entry!r} is not JSON: {error}") from None
    if isinstance(entry, dict):
        options = {str(name): value for name, value in entry.items()}
        model = str(options.pop("model", ""))
    else:
        model, *rest = str(entry).split(",")
        options = {}
        for item in rest:
            name, equals, value = item.partition("=")
            if not equals:
                raise InputError(f"models entry {entry!r}: {item!r} is not option=value")
            options[name.strip()] = value.strip()
    if not model.strip():
        raise InputError(f"models entry {entry!r} names no model")
    types = OPTIONS | {field.name: field.type for field in fields(GeneratorSettings) if field.name in RUNNING}
    for name, value in options.items():
        if name not in types:
            raise InputError(f"models entry {entry!r}: unknown option {name!r}; known are {', '.join(types)}")
        try:
            options[name] = types[name](value)
        except (TypeError, ValueError):
            raise InputError(f"models entry {entry!r}: {name} cannot be {value!r}") from None
    return model.strip(), options


def _label(model: str, gguf_file: str, temperature: float) -> str:
    """A short name: the last parts of where it lies, and its temperature."""
    parts = [part for part in Path(gguf_file or model).parts if part not in ("/", "model", "runs")]
    return f"{'/'.join(parts[-2:]) or model}@{temperature:g}"
