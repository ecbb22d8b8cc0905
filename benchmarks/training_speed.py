"""How fast and with how much memory a step is taken: this recipe, transformers' Trainer, a bare PyTorch loop, litgpt.

python benchmarks/training_speed.py [--sizes small medium large] [--rounds 3]     writes into benchmarks/RESULTS.md

All take the same steps: the same tokens in the same order, the same shape and precision (fp32), AdamW fused and
clipping, the same number of threads, each in a process of its own, one after another in every round. A step is the time
between two requests for a batch. litgpt is looked for in --litgpt, a folder that `make bench` fills (its dependencies
do not go with transformers 5, so it is kept apart).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from results import machine, table, write_section

ROOT = Path(__file__).parent.parent
CONTENDERS = ("nec13b", "Trainer", "loop", "litgpt")
NAMES = {
    "nec13b": "`recipes/pretrain.py`",
    "Trainer": "`LlamaForCausalLM` + `Trainer`",
    "loop": "`LlamaForCausalLM` + bare loop",
    "litgpt": "litgpt 0.5.13",
}
VOCABULARY = 50_176
# hidden, feed-forward, layers, heads, sequence length, sequences a step
SIZES = {
    "tiny": (64, 128, 2, 2, 32, 4),
    "small": (128, 384, 4, 4, 256, 8),
    "medium": (256, 704, 6, 4, 256, 8),
    "large": (512, 1408, 8, 8, 256, 8),
}
WARM_UP = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["small", "medium", "large"], choices=SIZES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--litgpt", default=str(ROOT / "build" / "litgpt"))
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contender:
        print(json.dumps(take_steps(arguments.contender, arguments.sizes[0], arguments.steps, arguments.threads)))
        return
    contenders = [name for name in CONTENDERS if name != "litgpt" or Path(arguments.litgpt).is_dir()]
    rows = []
    for size in arguments.sizes:
        found: dict[str, list[dict]] = {name: [] for name in contenders}
        for _ in range(arguments.rounds):
            for name in contenders:
                found[name].append(in_a_process(name, size, arguments))
                print(size, name, found[name][-1], flush=True)
        rows += rows_of(size, found)
    head = ["size", "who", "parameters", "s a step", "tokens/s", "time", "peak, MiB", "state", "memory", "losses"]
    body = (
        f"`python benchmarks/training_speed.py --sizes {' '.join(arguments.sizes)} --rounds {arguments.rounds}` "
        f"on {machine()}, {arguments.threads} threads; vocabulary {VOCABULARY:,}, fp32, {arguments.steps} steps after "
        f"{WARM_UP} to warm up, median over all rounds. Time and memory are relative to this recipe: 1.30x "
        "takes 1.30 times as long, or as much. Peak is the resident memory above that of the process with its imports "
        "and data; `state` are weights, gradients and AdamW's moments. Losses are of the first and the last step.\n\n"
    )
    write_section("Training: speed and memory of a step", body + table(head, rows))


def rows_of(size: str, found: dict[str, list[dict]]) -> list[list[str]]:
    hidden, _, layers, _, length, sequences = SIZES[size]
    step = {name: statistics.median(s for one in runs for s in one["seconds"]) for name, runs in found.items()}
    peak = {name: statistics.median(one["peak_bytes"] for one in runs) for name, runs in found.items()}
    rows = []
    for name, runs in found.items():
        rows.append([
            f"{layers} x {hidden}", NAMES[name], f"{runs[0]['parameters'] / 1e6:.1f} M", f"{step[name]:.2f}",
            f"{length * sequences / step[name]:,.0f}", f"{step[name] / step['nec13b']:.2f}x",
            f"{peak[name] / 2**20:,.0f}", f"{16 * runs[0]['parameters'] / 2**20:,.0f}",
            f"{peak[name] / peak['nec13b']:.2f}x", f"{runs[0]['losses'][0]:.3f}, {runs[0]['losses'][-1]:.3f}",
        ])  # fmt: skip
    return rows


def in_a_process(name: str, size: str, arguments) -> dict:
    environment = os.environ | {"OMP_NUM_THREADS": str(arguments.threads), "HF_HUB_OFFLINE": "1"}
    if name == "litgpt":
        environment["PYTHONPATH"] = arguments.litgpt
    command = [sys.executable, __file__, "--contender", name, "--sizes", size, "--steps", str(arguments.steps),
               "--threads", str(arguments.threads)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


class Tokens:
    """The same tokens for everybody, distributed as words are; notes when each batch is asked for."""

    def __init__(self, size: str, steps: int):
        *_, self.length, self.sequences = SIZES[size]
        self.count = (steps + WARM_UP + 1) * self.sequences  # one batch more, whose request ends the last step
        draw = np.random.default_rng(0)
        ids = draw.zipf(1.2, size=(self.count, self.length)) % (VOCABULARY - 16) + 16
        self.ids = ids.astype(np.int64)
        self.asked: list[float] = []
        self.domains = ["all"]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> dict[str, np.ndarray]:
        if i % self.sequences == 0:
            self.asked.append(time.perf_counter())
        return {"input_ids": self.ids[i], "labels": self.ids[i]}


def take_steps(name: str, size: str, steps: int, threads: int) -> dict:
    """One contender's steps, in this process: seconds of each, peak memory, losses, parameters."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    tokens = Tokens(size, steps)
    train = {"nec13b": train_nec13b, "Trainer": train_trainer, "loop": train_loop, "litgpt": train_litgpt}[name]
    with tempfile.TemporaryDirectory() as folder:
        prepare, go = train(tokens, size, Path(folder))
        before = resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
        parameters = prepare()
        losses = go()
        peak = resident("VmHWM") - before
    seconds = np.diff(tokens.asked)[WARM_UP:]
    return {
        "seconds": seconds.tolist(),
        "peak_bytes": peak,
        "losses": losses[: steps + WARM_UP],
        "parameters": parameters,
    }


def resident(name: str) -> int:
    """VmRSS or VmHWM of this process, in bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def llama_config(size: str, attention: str = "sdpa"):
    from transformers import LlamaConfig

    hidden, feed_forward, layers, heads, length, _ = SIZES[size]
    return LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=hidden, intermediate_size=feed_forward, num_hidden_layers=layers,
        num_attention_heads=heads, max_position_embeddings=length, attn_implementation=attention, use_cache=False,
        pad_token_id=None, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip


def train_nec13b(tokens: Tokens, size: str, folder: Path):
    from transformers import AutoTokenizer  # noqa: F401 - imported before memory is counted, as by the others

    from nec13b import Nec13bConfig, Nec13bForCausalLM
    from nec13b.pretraining import PretrainConfig
    from nec13b.pretraining.kernels import apply_kernels
    from nec13b.pretraining.trainer import PretrainTrainer

    made = {}

    def prepare() -> int:
        made["config"] = PretrainConfig(
            output_dir=str(folder), sequence_length=tokens.length, tokens_per_batch=tokens.length * tokens.sequences,
            per_device_train_batch_size=tokens.sequences, max_steps=len(tokens) // tokens.sequences, learning_rate=1e-3,
            warmup_steps=0, eval_strategy="no", save_strategy="no", domain_loss_steps=0, disable_tqdm=True,
        )  # fmt: skip
        values = llama_config(size).to_diff_dict()
        values = {k: v for k, v in values.items() if k not in ("model_type", "transformers_version")}
        made["model"] = Nec13bForCausalLM(Nec13bConfig(**(values | {"pad_token_id": None})))
        apply_kernels(made["model"], made["config"])
        return made["model"].num_parameters()

    def go() -> list[float]:
        trainer = PretrainTrainer(model=made["model"], args=made["config"], decisive={}, train_dataset=tokens)
        with quiet():
            trainer.train()
        return [row["loss"] for row in trainer.state.log_history if "loss" in row]

    return prepare, go


def train_trainer(tokens: Tokens, size: str, folder: Path):
    from torch.utils.data import SequentialSampler
    from transformers import LlamaForCausalLM, Trainer, TrainingArguments

    class InOrder(Trainer):
        def _get_train_sampler(self, train_dataset=None):
            return SequentialSampler(tokens)

    made = {}

    def prepare() -> int:
        made["model"] = LlamaForCausalLM(llama_config(size))
        return made["model"].num_parameters()

    def go() -> list[float]:
        arguments = TrainingArguments(
            output_dir=str(folder), per_device_train_batch_size=tokens.sequences,
            max_steps=len(tokens) // tokens.sequences, learning_rate=1e-3, weight_decay=0.1, adam_beta2=0.95,
            lr_scheduler_type="cosine", logging_steps=1, save_strategy="no", report_to="none", use_cpu=True,
            disable_tqdm=True, remove_unused_columns=False,
        )  # fmt: skip
        trainer = InOrder(model=made["model"], args=arguments, train_dataset=tokens)
        with quiet():
            trainer.train()
        return [row["loss"] for row in trainer.state.log_history if "loss" in row]

    return prepare, go


def train_loop(tokens: Tokens, size: str, folder: Path):
    import torch
    from torch.utils.data import DataLoader
    from transformers import LlamaForCausalLM, get_cosine_schedule_with_warmup

    made = {}

    def prepare() -> int:
        made["model"] = LlamaForCausalLM(llama_config(size))
        return made["model"].num_parameters()

    def go() -> list[float]:
        model, losses = made["model"], []
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
        schedule = get_cosine_schedule_with_warmup(optimizer, 0, len(tokens) // tokens.sequences)
        for batch in DataLoader(tokens, batch_size=tokens.sequences):
            loss = model(**batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        return losses

    return prepare, go


def train_litgpt(tokens: Tokens, size: str, folder: Path):
    import lightning
    import torch
    from litgpt.args import EvalArgs, TrainArgs
    from litgpt.config import Config
    from litgpt.model import GPT
    from litgpt.pretrain import fit
    from torch.utils.data import DataLoader

    hidden, feed_forward, layers, heads, length, sequences = SIZES[size]
    fabric = lightning.Fabric(accelerator="cpu", devices=1, precision="32-true")
    made, losses = {}, []

    class Shifted:
        """litgpt cuts inputs and targets out of a row of one token more."""

        def __len__(self) -> int:
            return len(tokens)

        def __getitem__(self, i: int):
            ids = tokens[i]["input_ids"]
            return torch.from_numpy(np.append(ids, ids[0]))

    def prepare() -> int:
        config = Config(
            name=size, block_size=length, vocab_size=VOCABULARY, padded_vocab_size=VOCABULARY, n_layer=layers,
            n_head=heads, n_embd=hidden, intermediate_size=feed_forward, bias=False, norm_class_name="RMSNorm",
            mlp_class_name="LLaMAMLP", rotary_percentage=1.0, parallel_residual=False,
        )  # fmt: skip
        model = GPT(config)
        model.apply(lambda module: _initialise(module, torch))
        made["model"] = fabric.setup(model)
        return sum(parameter.numel() for parameter in model.parameters())

    def go() -> list[float]:
        optimizer = torch.optim.AdamW(
            made["model"].parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True
        )
        state = {
            "model": made["model"],
            "optimizer": fabric.setup_optimizers(optimizer),
            "iter_num": 0,
            "step_count": 0,
        }
        loader = fabric.setup_dataloaders(DataLoader(Shifted(), batch_size=sequences))
        steps = len(tokens) // sequences
        train = TrainArgs(
            save_interval=None, log_interval=1, global_batch_size=sequences, micro_batch_size=sequences,
            max_tokens=steps * length * sequences, max_norm=1.0, lr_warmup_steps=0, min_lr=1e-4,
        )  # fmt: skip
        evaluation = EvalArgs(interval=10**9, max_iters=1, initial_validation=False, final_validation=False)
        fabric.log_dict = lambda metrics, step=None: losses.append(metrics["loss"])
        unseen = [torch.zeros(1, length + 1, dtype=torch.long)]
        with quiet():
            fit(fabric, 1, state, loader, unseen, folder, None, train, evaluation)
        return losses

    return prepare, go


def _initialise(module, torch) -> None:
    if isinstance(module, (torch.nn.Linear, torch.nn.Embedding)):
        torch.nn.init.normal_(module.weight, std=0.02)


def quiet():
    """What the contenders print is not the result."""
    import contextlib
    import io

    return contextlib.redirect_stdout(io.StringIO())


if __name__ == "__main__":
    main()
