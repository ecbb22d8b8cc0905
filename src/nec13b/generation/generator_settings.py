"""The settings of a generator: which model writes, where it runs, and how it may be asked."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ..errors import InputError
from ..recipe_config import parse_mapping

GENERATORS = ("transformers", "vllm", "endpoint")


@dataclass
class RunningSettings:
    """Where models run and how they may be asked, whichever they are."""

    generator: str = field(
        default="transformers",
        metadata={
            "help": "What runs the model: transformers, vllm (both here), or endpoint (an OpenAI-compatible server)."
        },
    )
    dtype: str = field(default="auto", metadata={"help": "float32, bfloat16, or auto: bfloat16 on a GPU."})
    trust_remote_code: bool = field(default=False, metadata={"help": "Run code that the model's folder brings along."})
    batch_size: int = field(default=8, metadata={"help": "Replies that a model here writes at a time."})
    base_url: str = field(
        default="http://127.0.0.1:8000/v1", metadata={"help": "Address of the endpoint, up to and with /v1."}
    )
    api_key_variable: str = field(
        default="OPENAI_API_KEY",
        metadata={"help": "Environment variable that holds the endpoint's key, if it wants one."},
    )
    concurrency: int = field(
        default=0, metadata={"help": "Requests under way at once, at most; 0: 8 for an endpoint, two batches here."}
    )
    requests_per_minute: float = field(default=0, metadata={"help": "Limit of the endpoint; 0: none."})
    tokens_per_minute: float = field(
        default=0, metadata={"help": "Limit of the endpoint, of prompts and replies together; 0: none."}
    )
    request_timeout: float = field(
        default=120.0, metadata={"help": "Seconds within which a whole reply must be there."}
    )
    max_attempts: int = field(default=6, metadata={"help": "How often a request is sent before its item has failed."})
    first_delay: float = field(default=1.0, metadata={"help": "Seconds before the second attempt; doubled every time."})
    longest_delay: float = field(default=60.0, metadata={"help": "Seconds between two attempts, at most."})
    request_options: dict | str | None = field(
        default=None,
        metadata={"help": 'More fields of a request, {"top_k": 40, "max_tokens": null}; null leaves one out.'},
    )
    prompt_price: float = field(default=0.0, metadata={"help": "Price of a million tokens of prompts."})
    completion_price: float = field(default=0.0, metadata={"help": "Price of a million tokens of replies."})

    def check_generator_settings(self, known: tuple[str, ...] = GENERATORS) -> None:
        """Raises InputError where a value makes no sense; `known` are the values that `generator` may have."""
        if self.generator not in known:
            raise InputError(f"generator must be one of {', '.join(known)}, not {self.generator!r}")
        if self.dtype not in ("auto", "float32", "bfloat16"):
            raise InputError(f"dtype must be auto, float32 or bfloat16, not {self.dtype!r}")
        for name in ("batch_size", "max_attempts"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("concurrency", "requests_per_minute", "tokens_per_minute", "first_delay", "longest_delay",
                     "prompt_price", "completion_price"):  # fmt: skip
            if getattr(self, name) < 0:
                raise InputError(f"{name} must not be negative, but is {getattr(self, name)}")
        if self.request_timeout <= 0:
            raise InputError(f"request_timeout must be above 0, not {self.request_timeout}")
        self.request_options = parse_mapping("request_options", self.request_options) or {}
        if "messages" in self.request_options or any(name.startswith("extra_") for name in self.request_options):
            raise InputError("request_options are fields of a request's body; they cannot hold messages or headers")
        try:
            address = urlsplit(self.base_url)
            usable = address.scheme in ("http", "https") and bool(address.hostname)
            # The address is written into records; a secret may not be part of it.
            secret = "@" in self.base_url or bool(address.query)
        except ValueError:
            usable, secret = False, "@" in self.base_url
        if secret:
            raise InputError("base_url must not hold a user, a password or a query; put the key into the environment")
        if not usable:
            raise InputError(f"base_url must look like http://host:8000/v1, not {self.base_url!r}")

    @property
    def workers(self) -> int:
        """Items that are worked on at once."""
        return self.concurrency or (8 if self.generator == "endpoint" else 2 * self.batch_size)

    def price(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What so many tokens cost, in the currency of the prices."""
        return (prompt_tokens * self.prompt_price + completion_tokens * self.completion_price) / 1e6


@dataclass
class GeneratorSettings(RunningSettings):
    """One model, where it runs and how it may be asked."""

    model: str = field(
        default="runs/chat_tune/model",
        metadata={"help": "Folder or Hub name of a chat model; for an endpoint, the name by which it knows the model."},
    )
    gguf_file: str = field(default="", metadata={"help": "A GGUF file in the model's folder, in place of its weights."})
