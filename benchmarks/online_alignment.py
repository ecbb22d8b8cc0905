"""The alternative that the paper weighed: a reward model, and an online method that follows it (RLHF).

python benchmarks/online_alignment.py reward --base MODEL --pairs FILE --output_dir DIR --seed 1
    trl's RewardTrainer
python benchmarks/online_alignment.py policy --base MODEL --pairs FILE --reward DIR --output_dir DIR --seed 1
    trl's RLOOTrainer

Of the online methods, trl 1.16 keeps GRPO and RLOO in its core; PPO is gone from it, and online DPO is experimental.
RLOO (Ahmadian et al., arXiv:2402.14740) is the nearer one to RLHF as InstructGPT had it: the same objective, reward
less beta times the divergence from the start model for the whole answer, with PPO's critic replaced by the mean reward
of the other answers to the prompt. GRPO divides by the spread of rewards and has no divergence term by default.

Run by benchmarks/alignment.py, in processes of their own, so that time and memory can be told.
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch
from datasets import Dataset, disable_progress_bars
from peft import AutoPeftModelForSequenceClassification, LoraConfig
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from trl import RewardConfig, RewardTrainer, RLOOConfig, RLOOTrainer

from nec13b.run_record import write_json

RESULT_NAME = "result.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("reward", "policy"))
    parser.add_argument("--base", required=True, help="folder of the start model")
    parser.add_argument("--pairs", required=True, help="JSONL with prompt, chosen and rejected, to train on")
    parser.add_argument("--reward", help="folder of the reward model's adapter")
    parser.add_argument("--output_dir", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--learning_rate", type=float, required=True)
    parser.add_argument("--beta", type=float, default=0.05)
    parser.add_argument("--epochs", type=float, default=1.0, help="reward: over the pairs")
    parser.add_argument("--samples", type=int, default=512, help="policy: answers that it writes and learns from")
    parser.add_argument("--batch_size", type=int, default=16, help="pairs, or answers, in a step")
    parser.add_argument("--generations", type=int, default=4, help="policy: answers to a prompt")
    parser.add_argument("--max_length", type=int, default=128)
    parser.add_argument("--max_new_tokens", type=int, default=48)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--rank", type=int, default=16)
    arguments = parser.parse_args()
    disable_progress_bars()
    started = time.monotonic()
    result = {"reward": train_reward, "policy": train_policy}[arguments.what](arguments)
    write_json(arguments.output_dir / RESULT_NAME, result | {"seconds": round(time.monotonic() - started, 1)})


def train_reward(arguments: argparse.Namespace) -> dict:
    """Trains a reward model on the pairs and writes its adapter; the last loss."""
    tokenizer = AutoTokenizer.from_pretrained(arguments.base)
    trainer = RewardTrainer(
        model=AutoModelForSequenceClassification.from_pretrained(arguments.base, num_labels=1, dtype=torch.float32),
        args=RewardConfig(
            output_dir=str(arguments.output_dir), seed=arguments.seed, learning_rate=arguments.learning_rate,
            num_train_epochs=arguments.epochs, max_length=arguments.max_length,
            per_device_train_batch_size=arguments.batch_size, center_rewards_coefficient=0.01,
            **shared_settings(arguments),
        ),
        train_dataset=pairs_of(arguments.pairs),
        processing_class=tokenizer,
        peft_config=adapter(arguments.rank, "SEQ_CLS"),
    )  # fmt: skip
    trainer.train()
    trainer.save_model(str(arguments.output_dir / "adapter"))
    return {"loss": last_of(trainer, "loss"), "finite": is_finite(trainer)}


def train_policy(arguments: argparse.Namespace) -> dict:
    """Trains a policy by what the reward model says of its answers and writes its adapter; rewards on the way."""
    tokenizer = AutoTokenizer.from_pretrained(arguments.base, padding_side="left")
    reward = reward_model(arguments.reward)
    prompts = pairs_of(arguments.pairs).select_columns("prompt")
    trainer = RLOOTrainer(
        model=arguments.base,
        reward_funcs=reward,
        reward_processing_classes=AutoTokenizer.from_pretrained(arguments.base),
        args=RLOOConfig(
            output_dir=str(arguments.output_dir), seed=arguments.seed, learning_rate=arguments.learning_rate,
            beta=arguments.beta, num_generations=arguments.generations,
            max_completion_length=arguments.max_new_tokens, max_steps=arguments.samples // arguments.batch_size,
            per_device_train_batch_size=arguments.batch_size, **shared_settings(arguments),
        ),
        train_dataset=prompts,
        processing_class=tokenizer,
        peft_config=adapter(arguments.rank, "CAUSAL_LM"),
    )  # fmt: skip
    trainer.train()
    trainer.save_model(str(arguments.output_dir / "adapter"))
    rewards = [row["reward"] for row in trainer.state.log_history if "reward" in row]
    return {"rewards": rewards, "finite": is_finite(trainer)}


def reward_model(folder: str) -> torch.nn.Module:
    """A reward model, its adapter merged, in evaluation mode: one number for a dialogue."""
    model = AutoPeftModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=torch.float32)
    return model.merge_and_unload().eval()


def adapter(rank: int, task: str) -> LoraConfig:
    """LoRA as recipes/align.py has it, for either task."""
    return LoraConfig(
        r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear", task_type=task,
        modules_to_save=["score"] if task == "SEQ_CLS" else None,
        exclude_modules=["score"] if task == "SEQ_CLS" else None,
    )  # fmt: skip


def shared_settings(arguments: argparse.Namespace) -> dict:
    """What both trainers and recipes/align.py have in common; no reports, no checkpoints."""
    return {
        "report_to": "none", "save_strategy": "no", "logging_steps": 1, "disable_tqdm": True, "bf16": arguments.bf16,
        "activation_checkpointing": False, "lr_scheduler_type": "cosine", "warmup_steps": 0.1,
        "use_cpu": not torch.cuda.is_available(),
    }  # fmt: skip


def pairs_of(path: str) -> Dataset:
    """The pairs of a file, without what else its rows hold."""
    rows = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    return Dataset.from_list([{name: row[name] for name in ("prompt", "chosen", "rejected")} for row in rows])


def last_of(trainer, name: str) -> float | None:
    values = [row[name] for row in trainer.state.log_history if name in row]
    return values[-1] if values else None


def is_finite(trainer) -> bool:
    """Whether no number that was logged is infinite or none."""
    return all(math.isfinite(v) for row in trainer.state.log_history for v in row.values() if isinstance(v, float))


if __name__ == "__main__":
    main()
