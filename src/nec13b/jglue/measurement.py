"""One model on one task with one seed of examples: what lm-eval makes of it, question by question."""

import difflib
import hashlib
import logging
import os
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager
from transformers.utils import cached_file
from transformers.utils.peft_utils import find_adapter_config_file

from .. import Nec13bConfig  # noqa: F401  lm-eval loads by AutoModel, which knows the model after this import
from ..errors import InputError, one_line
from ..run_record import read_json
from .comparison_config import JglueConfig
from .shared_prompt import JpStableTokensLM, SharedPromptLM

PACKAGES = ("lm_eval", "transformers", "torch")
METRICS = {
    "generate_until": ["exact_match", "exact_match_jp", "exact_match_jp_line", "exact_match_first", "f1"],
    "multiple_choice": ["acc", "acc_norm"],
}


def check_tasks(names: list[str], folder: Path) -> None:
    """Makes sure that there are such tasks.

    Raises:
        InputError: there is none of that name.
    """
    known = [name for name in TaskManager(include_path=str(folder), include_defaults=False).all_tasks if name[0] != "_"]
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            raise InputError(f"tasks: there is no {name}" + (f"; did you mean {close[0]}?" if close else
                                                             f"; there are {', '.join(sorted(known))}"))  # fmt: skip


def load_model(checkpoint: str, config: JglueConfig) -> SharedPromptLM:
    """A checkpoint for lm-eval, on the GPU where there is one: a model, an adapter on its base model, or a GGUF file.

    Raises:
        InputError: there is no such checkpoint, or it cannot be loaded.
    """
    folder, gguf = checkpoint, ""
    if checkpoint.endswith(".gguf"):
        folder, gguf = os.path.split(checkpoint)
    if checkpoint.startswith((".", "/", "runs/")) and not Path(checkpoint).exists():
        raise InputError(f"{checkpoint} does not exist; recipes/pretrain.py and recipes/chat_tune.py make models")
    logging.getLogger("lm_eval").setLevel(logging.ERROR)  # it warns of every prompt that it cuts; we count them
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = config.dtype if config.dtype != "auto" else {"cpu": "float32", "cuda": "bfloat16"}[device]
    try:
        places = {"pretrained": folder or ".", **({"gguf_file": gguf} if gguf else {"use_safetensors": True})}
        if not gguf and (adapter := find_adapter_config_file(checkpoint)) is not None:
            cached_file(checkpoint, "adapter_model.safetensors")  # or else it raises: peft would take a pickle
            base = read_json(Path(adapter), "recipes/chat_tune.py").get("base_model_name_or_path")
            places |= {"pretrained": str(base), "peft": checkpoint}
            if Path(checkpoint, "tokenizer_config.json").is_file():
                places["tokenizer"] = checkpoint
        return (JpStableTokensLM if config.as_jp_stable else SharedPromptLM)(
            **places, device=device, dtype=dtype, batch_size=config.batch_size,
            trust_remote_code=config.trust_remote_code,
        )  # fmt: skip
    except InputError:
        raise
    except Exception as error:  # safetensors, json and the Hub client raise many kinds for a missing or damaged file
        flag = "; --trust_remote_code runs its code" if "trust_remote_code" in str(error) else ""
        raise InputError(f"cannot load a model from {checkpoint}: {one_line(error)}{flag}") from error


def measure(lm: Any, task: str, seed: int, config: JglueConfig, folder: Path) -> dict:
    """Runs a task in lm-eval.

    Args:
        lm: a model of lm-eval's; where it has a tokenizer, that limits the answers of `exact_match_jp`.
        task: name of a task in `folder`.
        seed: of the examples.
        config: the settings.
        folder: of the tasks.

    Returns:
        `scores` (means, 0 to 1), `standard_errors` (lm-eval's, as if questions were independent), `protocol`, and
        `questions`: each with its id, its `group` (questions on the same passage), what was answered, and its scores.

    Raises:
        InputError: the questions cannot be read, or an answer has no room in the model's window.
    """
    window = getattr(lm, "max_length", None)
    if window is not None and window <= config.max_answer_tokens:
        raise InputError(
            f"max_answer_tokens ({config.max_answer_tokens}) leaves no room for a prompt in a window of {window} tokens"
        )
    settings = {"examples": "jp_stable" if config.as_jp_stable else "by_question",
                "jglue": config.jglue, "jglue_revision": config.jglue_revision}  # fmt: skip
    manager = TaskManager(include_path=str(folder), include_defaults=False, metadata=settings)
    made = manager.load([task])["tasks"][task]
    made.tokenizer = getattr(lm, "tokenizer", None)
    results = simple_evaluate(
        model=lm, tasks=[made], task_manager=manager, limit=config.limit, num_fewshot=config.shots,
        fewshot_random_seed=seed, apply_chat_template=config.chat_template, fewshot_as_multiturn=config.chat_template,
        gen_kwargs={"max_gen_toks": config.max_answer_tokens},
    )  # fmt: skip
    asked, about = results["configs"][task], results["configs"][task]["metadata"]
    metrics = [name for name in METRICS[asked["output_type"]] if f"{name},none" in results["results"][task]]
    samples = sorted(results["samples"][task], key=lambda sample: sample["doc_id"])
    passages: dict[str, int] = {}
    questions = []
    for sample in samples:
        doc = sample["doc"]
        group = passages.setdefault(doc.get("context", doc["id"]), len(passages))
        questions.append(
            {"id": doc["id"], "group": group, "answer": _answer(sample), **{m: sample[m] for m in metrics}}
        )
    room = (window or 0) - (config.max_answer_tokens if asked["output_type"] == "generate_until" else 0)
    prompts = [sample["arguments"][0][0] for sample in samples]
    cut = sum(len(lm.tok_encode(prompt)) > room for prompt in prompts) if hasattr(lm, "tok_encode") and window else None
    scores = results["results"][task]
    return {
        "scores": {m: float(scores[f"{m},none"]) for m in metrics},
        "standard_errors": {m: scores[f"{m}_stderr,none"] for m in metrics},
        "protocol": {
            "task": task,
            "task_version": results["versions"][task],
            "prompt": about["prompt"],
            "same_as_jp_stable": about.get("equals"),
            "shots": results["n-shot"][task],
            "examples": about["examples"],
            "examples_from": about["examples_from"],
            "examples_to_choose_from": about["pool"],
            "asked_from": about["asked_from"],
            "asked": len(samples),
            "few_shot_seed": seed,
            "as_jp_stable": config.as_jp_stable,
            "chat_template": config.chat_template,
            "prompts_cut": cut,
            "window": window,
            "dtype": str(getattr(getattr(lm, "model", None), "dtype", "")).removeprefix("torch."),
            "versions": {name: metadata.version(name) for name in PACKAGES},
        },
        "questions": questions,
    }


def _answer(sample: dict) -> str:
    """What the model wrote, or which choice it found likeliest."""
    said = sample["filtered_resps"]
    if isinstance(said[0], str):
        return said[0]
    return sample["doc"]["choices"][int(np.argmax([likelihood for likelihood, _ in said]))]


def state_of_checkpoint(checkpoint: str) -> str:
    """A fingerprint of a folder's files by name, size and time, so that a model trained anew is measured anew."""
    place = Path(checkpoint)
    if not place.exists():
        return checkpoint  # a Hub name
    files = [place] if place.is_file() else sorted(path for path in place.iterdir() if path.is_file())
    listing = "\n".join(f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files)
    return hashlib.sha256(listing.encode()).hexdigest()[:16]
