"""What can be chosen for a chat: how answers are drawn, which checkpoint speaks and how, where the page is served."""

import dataclasses
import difflib
import sys
from dataclasses import dataclass, field, fields
from typing import get_args, get_type_hints

from ..errors import InputError
from ..recipe_config import RecipeParser

DEFAULT_CHECKPOINT = "runs/chat_tune/model"  # what recipes/chat_tune.py writes when it is given nothing
DEFAULT_NEW_TOKENS = 512


@dataclass(frozen=True)
class Sampling:
    """How an answer is drawn. It can be changed in the middle of a dialogue."""

    temperature: float = field(default=0.7, metadata={"help": "0 always takes the likeliest token; above 1 is wild."})
    top_p: float = field(
        default=0.95, metadata={"help": "Draw from the likeliest tokens that together have this probability."}
    )
    repetition_penalty: float = field(
        default=1.0, metadata={"help": "Above 1, tokens that stand in the dialogue already become less likely."}
    )
    max_new_tokens: int | None = field(
        default=None, metadata={"help": "Longest answer. Default: 512, or half of the window where that is less."}
    )
    seed: int | None = field(
        default=None, metadata={"help": "The same seed and dialogue give the same answer. Default: each time another."}
    )

    def __post_init__(self):
        _check(0 <= self.temperature <= 10, "temperature", self.temperature, "from 0 to 10")
        _check(0 < self.top_p <= 1, "top_p", self.top_p, "above 0 and at most 1")
        _check(0.1 <= self.repetition_penalty <= 10, "repetition_penalty", self.repetition_penalty, "from 0.1 to 10")
        _check(self.max_new_tokens is None or self.max_new_tokens > 0, "max_new_tokens", self.max_new_tokens, "above 0")
        _check(self.seed is None or 0 <= self.seed < 2**53, "seed", self.seed, "from 0 to 2^53")

    def with_text(self, name: str, text: str) -> "Sampling":
        """A copy in which one setting has the value that a user typed; `none` takes an optional one back.

        Raises:
            InputError: there is no such setting, or the value does not fit.
        """
        names = [one.name for one in fields(Sampling)]
        if name not in names:
            raise InputError(f"there is no setting {name!r}; there are {', '.join(names)}")
        hint = get_type_hints(Sampling)[name]
        optional = type(None) in get_args(hint)
        kind = get_args(hint)[0] if optional else hint
        if optional and text.lower() in ("none", ""):
            return dataclasses.replace(self, **{name: None})
        try:
            value = kind(text)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise InputError(f"{name} must be {what}{' or none' if optional else ''}, not {text!r}") from None
        return dataclasses.replace(self, **{name: value})


@dataclass(frozen=True)
class ChatSettings(Sampling):
    """Talk to a chat model, in the terminal or on a web page: python -m nec13b.chat CHECKPOINT [--web]."""

    checkpoint: str = field(default=DEFAULT_CHECKPOINT, init=False)
    system: str = field(default="", metadata={"help": "System prompt: what the model is told before the dialogue."})
    web: bool = field(default=False, metadata={"help": "Serve a web page instead of chatting in the terminal."})
    host: str = field(
        default="127.0.0.1",
        metadata={"help": "Address of the page. 0.0.0.0 lets everybody in who reaches this machine."},
    )
    port: int = field(default=7860, metadata={"help": "Port of the page."})
    window: int | None = field(
        default=None, metadata={"help": "Most tokens of a dialogue and its next answer. Default: the model's window."}
    )
    chatml: bool = field(
        default=False, metadata={"help": "Take this project's ChatML template, whatever the checkpoint says."}
    )
    dtype: str = field(
        default="auto", metadata={"help": "float32, bfloat16, float16, or auto (bfloat16 on a GPU, float32 on a CPU)."}
    )
    attn_implementation: str = field(
        default="auto",
        metadata={"help": "sdpa, flash_attention_2, eager, or auto (flash attention where it can be had)."},
    )
    gguf_file: str | None = field(
        default=None, metadata={"help": "Which GGUF file of the checkpoint's folder or Hub repository is meant."}
    )
    trust_remote_code: bool = field(
        default=False,
        metadata={"help": "Run Python code that the checkpoint brings along. Only if you trust its author."},
    )

    def __post_init__(self):
        super().__post_init__()
        _check(0 <= self.port < 2**16, "port", self.port, "from 0 to 65535")
        _check(self.window is None or self.window > 1, "window", self.window, "above 1")
        dtypes = ("auto", "float32", "bfloat16", "float16")
        _check(self.dtype in dtypes, "dtype", self.dtype, f"one of {', '.join(dtypes)}")
        kinds = ("auto", "sdpa", "flash_attention_2", "eager")
        _check(self.attn_implementation in kinds, "attn_implementation", self.attn_implementation, f"one of {kinds}")

    @property
    def sampling(self) -> Sampling:
        """The part that can change during a dialogue."""
        return Sampling(**{one.name: getattr(self, one.name) for one in fields(Sampling)})


def parse_chat_settings(arguments: list[str] | None = None) -> ChatSettings:
    """The settings of a command line: a checkpoint, which may be left out, and flags.

    Args:
        arguments: without the program's name; None takes `sys.argv`.

    Raises:
        InputError: an unknown flag, a value of a wrong type or out of its range.
    """
    parser = RecipeParser([ChatSettings], prog="python -m nec13b.chat", description=ChatSettings.__doc__)
    parser.add_argument(
        "checkpoint", nargs="?", default=DEFAULT_CHECKPOINT,
        help="Folder or Hub name of a chat model or of a LoRA adapter, or a .gguf file. "
        f"Default: {DEFAULT_CHECKPOINT}, which recipes/chat_tune.py makes.",
    )  # fmt: skip
    # A switch takes no value here, else `--web CHECKPOINT` would read the checkpoint as one.
    switches = {f"--{one.name}" for one in fields(ChatSettings) if one.type is bool}
    words = [
        f"{word}=true" if word in switches else word for word in (sys.argv[1:] if arguments is None else arguments)
    ]
    settings, rest, unread = parser.parse_args_into_dataclasses(words, True, look_for_args_file=False)
    if unread:
        close = difflib.get_close_matches(unread[0], [f"--{one.name}" for one in fields(ChatSettings)], n=1)
        raise InputError(f"unexpected {unread[0]}; " + (f"did you mean {close[0]}?" if close else "--help lists all"))
    object.__setattr__(settings, "checkpoint", rest.checkpoint)
    return settings


def _check(fits: bool, name: str, value, wanted: str) -> None:
    if not fits:
        raise InputError(f"{name} must be {wanted}, not {value!r}")
