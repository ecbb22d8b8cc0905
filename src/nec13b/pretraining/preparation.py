"""Everything a run needs before its first step: tokenizer, tokens and initial weights, made once or checked.

What the user gives (`--tokenizer`, `--tokens`, `--model`) is checked and used. What is not given is made from the
corpus, into the run's own folder, and found again when the run is resumed.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from transformers import set_seed
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from ..configuration_nec13b import Nec13bConfig
from ..corpus import Rejections, corpus_identity, parse_sources, read_documents
from ..corpus.mixture import mixture_of_corpus, repeated
from ..errors import InputError, one_line
from ..llama_conversion import load_as_nec13b
from ..modeling_nec13b import Nec13bForCausalLM
from ..run_record import LOCK_NAME, RECORD_NAME, read_json, write_json
from ..tokenization import TokenizerHandle, load_tokenizer, make_tokenizer
from ..tokenization.settings import TrainTokenizerConfig
from ..whole_files import whole_folder
from .bad_steps import FOLDER_NAME, LEFT_OUT_NAME
from .callbacks import METRICS_NAME
from .config import PackTokensConfig, PretrainConfig
from .kernels import choose_attention
from .packing import PLANS_NAME, PackingPlan, packing_plan
from .samples import continue_prompts
from .token_shards import TokenShards, write_token_shards

PREPARED_NAME = "prepared.json"
REQUEST_NAME = "made_from.json"
SIGNS_OF_A_RUN = (
    PREPARED_NAME,
    METRICS_NAME,
    RECORD_NAME,
    "initial",
    "tokens",
    "tokenizer",
    PLANS_NAME,
    ".tokens.tmp",
    ".initial.tmp",
)
RUN_FILES = (
    *SIGNS_OF_A_RUN, "model", "rejected.jsonl", "loss.png", "samples.md", ".model.tmp", LEFT_OUT_NAME, FOLDER_NAME,
)  # fmt: skip


@dataclass
class Prepared:
    """What training starts from.

    Attributes:
        tokenizer: the tokenizer.
        shards: the packed tokens.
        model_path: folder or Hub name of the initial weights.
        rejected: how many documents were set aside while packing, by reason.
        plan: which documents share a sequence, where they are packed best-fit.
    """

    tokenizer: TokenizerHandle
    shards: TokenShards
    model_path: str
    rejected: dict[str, int]
    plan: PackingPlan | None = None

    def with_model(self, path: str | os.PathLike) -> "Prepared":
        """The same with other weights."""
        return replace(self, model_path=str(path))


def use_cpu_threads(config: PretrainConfig) -> None:
    """Shares the cores among the processes of this machine where the CPU is what trains.

    accelerate sets OMP_NUM_THREADS=1 unless told otherwise, which nearly halves the speed of two cores.
    """
    if config.device.type != "cpu":
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(config.cpu_threads or max(1, cores // processes))


def claim_output_dir(output: Path, overwrite: bool, more: tuple[str, ...] = ()) -> None:
    """Makes sure that a run may write into a folder: a new one, an empty one, or that of an earlier run.

    Args:
        output: the folder.
        overwrite: remove what an earlier run wrote there, by name; nothing else is ever removed.
        more: what else a run of this stage writes, by name.

    Raises:
        InputError: the folder holds other things, which a run might write over.
    """
    if not output.is_dir():
        return
    if any(path.name != LOCK_NAME for path in output.iterdir()) and not any(
        (output / name).exists() for name in SIGNS_OF_A_RUN
    ):
        raise InputError(f"{output} holds files that are not of a run; choose another --output_dir")
    if overwrite:
        for path in [output / name for name in (*RUN_FILES, *more)] + list(output.glob("checkpoint-*")):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def prepare(config: PretrainConfig) -> Prepared:
    """Makes or checks tokenizer, tokens and initial weights; call it on the main process before the others.

    Raises:
        InputError: something that was given does not fit, or output_dir holds the preparation of another corpus.
    """
    output = Path(config.output_dir)
    rejected: dict[str, int] = {}
    if config.tokens:
        if not config.tokenizer:
            raise InputError(f"--tokens {config.tokens} needs --tokenizer, the one that made them")
        tokenizer = load_tokenizer(config.tokenizer)
        shards = TokenShards.open(config.tokens, tokenizer)
    else:
        tokenizer, shards, rejected = prepare_tokens(config, output)
    plan = packing_plan(shards, config.sequence_length, output) if config.packing == "best_fit" else None
    model_path = config.model or _initial_weights(config, tokenizer, output / "initial")
    return Prepared(tokenizer, shards, str(model_path), rejected, plan)


def prepare_tokens(
    config: PackTokensConfig | PretrainConfig, output: Path
) -> tuple[TokenizerHandle, TokenShards, dict[str, int]]:
    """Tokenizer and token shards of a corpus in `output/tokenizer` and `output/tokens`, made where they are missing.

    Returns:
        (tokenizer, shards, number of documents set aside by reason; each of them stands in `output/rejected.jsonl`).

    Raises:
        InputError: the corpus cannot be read or is empty, or `output` holds the tokens of another one.
    """
    sources = parse_sources(config.corpus)
    mixture = mixture_of_corpus(sources)
    request = {
        "corpus": corpus_identity(sources),
        "mixture": mixture,
        "held_out_fraction": config.held_out_fraction,
        "max_document_characters": config.max_document_characters,
    }
    if config.tokenizer:
        given = load_tokenizer(config.tokenizer)
        request["tokenizer"] = given.fingerprint
    else:
        given = None
        request |= {"vocab_size": config.vocab_size, "tokenizer_characters": config.tokenizer_characters}
    note = output / PREPARED_NAME
    if note.is_file():
        done = read_json(note, "recipes/pack_tokens.py")
        if done.get("request") != request:
            raise InputError(
                f"{output} holds the tokens of another corpus or tokenizer (see {note}); choose another --output_dir, "
                "or throw them away with --overwrite_output_dir"
            )
        tokenizer = given or load_tokenizer(output / "tokenizer")
        return tokenizer, TokenShards.open(output / "tokens", tokenizer), done["rejected"]

    tokenizer = given or make_tokenizer(TrainTokenizerConfig.from_settings(config), output / "tokenizer").handle
    print("packing tokens ...", flush=True)
    rejections = Rejections(output / "rejected.jsonl")
    documents = read_documents(sources, rejections, config.max_document_characters)
    if mixture:
        documents = repeated(documents, mixture)
    shards = write_token_shards(documents, tokenizer, output / "tokens", config.held_out_fraction, mixture=mixture)
    write_json(note, {"request": request, "rejected": dict(rejections.counts)})
    return tokenizer, shards, dict(rejections.counts)


def model_config(config: PretrainConfig, tokenizer: TokenizerHandle) -> Nec13bConfig:
    """The shape that the settings describe, with the vocabulary of the tokenizer.

    Raises:
        InputError: the shape is impossible.
    """
    ids = tokenizer.tokenizer
    try:
        return Nec13bConfig(
            vocab_size=tokenizer.padded_vocab_size,
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.num_hidden_layers,
            num_attention_heads=config.num_attention_heads,
            num_key_value_heads=config.num_key_value_heads,
            max_position_embeddings=config.sequence_length,
            rope_parameters=config.rope_parameters,
            pad_token_id=ids.pad_token_id,
            bos_token_id=ids.bos_token_id,
            eos_token_id=ids.eos_token_id,
        )
    except Exception as error:  # strict dataclasses wrap every check in an exception of their own
        raise InputError("the model's shape: " + one_line(error)) from None


def load_initial_model(
    config: PretrainConfig, prepared: Prepared, whole: bool = False, changes: dict | None = None
) -> Nec13bForCausalLM:
    """The model to train, on this process.

    Args:
        config: the settings.
        prepared: where the weights lie.
        whole: load all of it even where each process of a tensor parallel layout would hold a part.
        changes: settings of its configuration in place of the checkpoint's.

    Raises:
        InputError: its vocabulary is smaller than the tokenizer's, or its window shorter than a sequence.
    """
    model = load_as_nec13b(
        prepared.model_path,
        changes,
        attn_implementation=choose_attention(config),
        dtype=torch.float32,
        distributed_config=None if whole else config.layout.distributed_config(config.bf16),
    )
    if model.config.vocab_size < len(prepared.tokenizer.tokenizer):
        raise InputError(
            f"{prepared.model_path} has a vocabulary of {model.config.vocab_size:,}, the tokenizer "
            f"{len(prepared.tokenizer.tokenizer):,} tokens; use the tokenizer that belongs to the model"
        )
    if model.config.max_position_embeddings < config.sequence_length:
        raise InputError(
            f"sequence_length {config.sequence_length:,} is longer than the model's window of "
            f"{model.config.max_position_embeddings:,} tokens"
        )
    model.config.use_cache = False
    return model


def continue_sample_prompts(
    config: PretrainConfig, prepared: Prepared, load: Callable[..., Nec13bForCausalLM] = load_initial_model
) -> list[str]:
    """What the model of `prepared` makes of `config.sample_prompts`, on this process alone, whatever the layout."""
    with _without_zero3(config):
        model = load(config, prepared, whole=True)
        tokenizer = prepared.tokenizer.tokenizer
        return continue_prompts(model, tokenizer, config.sample_prompts, config.sample_tokens, config.seed)


@contextmanager
def _without_zero3(config: PretrainConfig):
    """Hides DeepSpeed's ZeRO-3, under which all processes would load a model together and generate together."""
    unset_hf_deepspeed_config()
    try:
        yield
    finally:
        if config.deepspeed_plugin is not None:
            config.deepspeed_plugin.set_deepspeed_weakref()


def number_of_parameters(model: Nec13bForCausalLM) -> int:
    """Parameters of the whole model, wherever they lie; ZeRO-3 leaves empty tensors in their places."""
    return sum(getattr(parameter, "ds_numel", parameter.numel()) for parameter in model.parameters())


def _initial_weights(config: PretrainConfig, tokenizer: TokenizerHandle, folder: Path) -> Path:
    """Random weights in a folder of their own. Every process loads them from there, sharded or not, so the start does
    not depend on the number of processes, and no process needs more memory than from_pretrained does."""
    shape = model_config(config, tokenizer)
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
             "num_key_value_heads", "max_position_embeddings", "rope_parameters")  # fmt: skip
    request = {"seed": config.seed, **{name: getattr(shape, name) for name in names}}
    if folder.is_dir():
        made = read_json(folder / REQUEST_NAME, "recipes/pretrain.py --overwrite_output_dir")
        for name, value in request.items():
            if made.get(name) != value:
                raise InputError(
                    f"{folder} holds initial weights of {name} = {made.get(name)}, now it is {value}; choose another "
                    "--output_dir, or throw the old run away with --overwrite_output_dir"
                )
        return folder
    set_seed(config.seed)
    model = Nec13bForCausalLM(shape)
    with whole_folder(folder) as building:
        model.save_pretrained(building)
        write_json(building / REQUEST_NAME, request)
    return folder
