"""What became of each run of benchmarks/alignment.py: accuracy, divergence, answers, and what reward models say."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from online_alignment import reward_model
from peft import PeftModel
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from nec13b.dialogues.dialogue import Message
from nec13b.model_comparison.answer_shift import shape_of_answers
from nec13b.model_comparison.pair_scores import pair_scores
from nec13b.model_comparison.sampled_divergence import sampled_answers
from nec13b.preferences.preference import Preference
from nec13b.run_record import read_json, write_json

SAMPLING_SEED = 13
SHORTEST, LEAST_VARIED, MOST_REPEATED = 0.25, 0.5, 0.3  # beyond these a run counts as collapsed


@dataclass(frozen=True)
class Run:
    """A policy and what it cost.

    Attributes:
        seed: of its training.
        measures: what `measured` returns.
        seconds, cpu_seconds: wall time and processor time of all its trainings, the reward model's among them.
        peak_bytes: the largest memory of any.
        finite: whether every number that its training logged was one.
    """

    seed: int
    measures: dict[str, Any]
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    finite: bool = True

    def implicit_accuracy(self, start: dict[str, Any]) -> float:
        """The share of held-out pairs whose margin is larger than the start model's; half of those that are equal."""
        moved = [ours - theirs for ours, theirs in zip(self.measures["margins"], start["margins"])]
        return sum((m > 0) + 0.5 * (m == 0) for m in moved) / len(moved)

    def is_collapsed(self, start: dict[str, Any]) -> bool:
        """Whether answers became under a quarter as long, under half as varied, or repeat 30 points more than the start
        model's, or a number that was logged is none."""
        ours, theirs = self.measures["shape"], start["shape"]
        return (
            not self.finite
            or ours["tokens"] < SHORTEST * theirs["tokens"]
            or ours["distinct_2"] < LEAST_VARIED * theirs["distinct_2"]
            or ours["repetition"] > theirs["repetition"] + MOST_REPEATED
        )


def measured(
    path: Path, adapter: Path | None, base: Path, tokenizer: PreTrainedTokenizerBase, held_out: list[Preference],
    prompts: list[list[Message]], max_new_tokens: int,
) -> dict[str, Any]:  # fmt: skip
    """The measures of a policy, from `path` where they are there already.

    Args:
        path: JSON file of the measures.
        adapter: of the policy; None: the start model.
        base: folder of the start model.
        tokenizer: with its chat template.
        held_out: pairs that are scored.
        prompts: that are answered.
        max_new_tokens: most tokens of an answer.

    Returns:
        `margins` (nats, one a pair), `accuracy`, `accuracy_per_token`, `divergence` (nats an answer, from the start
        model), `shape` of the answers, and the `answers`.
    """
    if path.is_file():
        return read_json(path, __file__)
    print(path, flush=True)
    reference = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    policy: PreTrainedModel = reference
    if adapter is not None:
        policy = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        policy = PeftModel.from_pretrained(policy, adapter).merge_and_unload().eval()
    scores = [score for score in pair_scores(policy, tokenizer, held_out, 2**20) if score]
    found = sampled_answers(policy, reference, tokenizer, prompts, max_new_tokens, SAMPLING_SEED)
    rows = [{"answer": one.text, "tokens": one.tokens, "ended": one.ended} for one in found]
    measures = {
        "margins": [score.margin for score in scores],
        "accuracy": sum(score.margin > 0 for score in scores) / len(scores),
        "accuracy_per_token": sum(score.margin_per_token > 0 for score in scores) / len(scores),
        "divergence": sum(one.divergence for one in found) / len(found),
        "shape": vars(shape_of_answers(rows)),
        "answers": [row["answer"] for row in rows],
    }
    write_json(path, measures)
    return measures


def judged_by_reward_model(
    path: Path, adapter: Path, tokenizer: PreTrainedTokenizerBase, held_out: list[Preference],
    prompts: list[list[Message]], answers: dict[str, list[str]],
) -> dict[str, Any]:  # fmt: skip
    """What a reward model says, from `path` where it is there already.

    Returns:
        `accuracy` on the held-out pairs, and `rewards`: by policy, of its answers.
    """
    if path.is_file() and answers.keys() <= (found := read_json(path, __file__))["rewards"].keys():
        return found
    print(path, flush=True)
    model = reward_model(str(adapter))
    pairs = [
        [reward_of(model, tokenizer, [*pair.prompt, *answer]) for answer in (pair.chosen, pair.rejected)]
        for pair in held_out
    ]
    rewards = {
        name: [
            reward_of(model, tokenizer, [*prompt, Message(role="assistant", content=text)])
            for prompt, text in zip(prompts, texts)
        ]
        for name, texts in answers.items()
    }
    found = {"accuracy": sum(chosen > rejected for chosen, rejected in pairs) / len(pairs), "rewards": rewards}
    write_json(path, found)
    return found


@torch.inference_mode()
def reward_of(model: torch.nn.Module, tokenizer: PreTrainedTokenizerBase, messages: list[Message]) -> float:
    """The reward of a dialogue that ends with an answer."""
    ids = tokenizer.apply_chat_template(messages, return_dict=False)
    return float(model(input_ids=torch.tensor([ids])).logits[0, 0])


def wins(rewards: dict[int, dict[str, list[float]]], name: str, seed: int) -> float | None:
    """The share of a policy's answers that reward models of other seeds put above the start model's to the same prompt;
    half of those that they put level, as equal answers are.

    Args:
        rewards: of each reward model, by its seed.
        name: of the policy.
        seed: whose reward model the policy may have learned to please.
    """
    cases = [
        (ours > theirs) + 0.5 * (ours == theirs)
        for of, said in rewards.items() if of != seed
        for ours, theirs in zip(said[name], said["start"])
    ]  # fmt: skip
    return sum(cases) / len(cases) if cases else None
