"""The memory plan against what training really takes: each case in a fresh process on the CPU.

python benchmarks/memory_model.py                 # all cases, about fifteen minutes on two cores
python benchmarks/memory_model.py --cases 10M 30M

A case trains two steps of random tokens with the Trainer of pre-training (the optimizer's state is there from the
second on). Measured is the peak of the resident memory above what the process held before the model was made, after a
small model was trained to load what is loaded at first use. The peak comes from the kernel (VmHWM), so nothing
between two samples is missed. glibc's malloc keeps freed memory for later by habit; with MALLOC_MMAP_THRESHOLD_ and
MALLOC_TRIM_THRESHOLD_ at 64 KiB it gives tensors back at once, and what is resident is what is alive. The last column
has malloc as it comes. Writes a section of RESULTS.md.
"""

import argparse
import contextlib
import copy
import ctypes
import gc
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from results import machine, table, write_section
from torch.utils.data import Dataset

from nec13b.configuration_nec13b import Nec13bConfig
from nec13b.modeling_nec13b import Nec13bForCausalLM
from nec13b.pretraining import PretrainConfig
from nec13b.pretraining.kernels import apply_kernels, choose_attention
from nec13b.pretraining.layout import Layout
from nec13b.pretraining.memory_plan import memory_plan
from nec13b.pretraining.model_shape import ModelShape
from nec13b.pretraining.plan import with_precision, workload
from nec13b.pretraining.trainer import PretrainTrainer

ROOT = Path(__file__).parent.parent
CONFIGS, CPU_AS_GPU = ROOT / "accelerate_configs", ROOT / "tests" / "recipes" / "cpu_as_gpu.py"
TWO_PROCESSES = {"ddp": "cpu_2proc.yaml", "fsdp": "fsdp_1x8.yaml"}
EXACT_MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
SHAPE = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
         "num_key_value_heads")  # fmt: skip


def _size(vocab: int, width: int, feed_forward: int, layers: int, heads: int, sequences: int, length: int) -> dict:
    names = (*SHAPE[:5], "per_device_train_batch_size", "sequence_length")
    return dict(zip(names, (vocab, width, feed_forward, layers, heads, sequences, length))) | {
        "tokens_per_batch": sequences * length
    }


def _each_pass(sync: bool) -> dict:
    """FSDP2 with gradients that are sharded after every pass of an accumulation, or after the last one."""
    return {
        "strategy": "fsdp", "accelerator_config": {"gradient_accumulation_kwargs": {"sync_each_batch": sync}},
    }  # fmt: skip


_10M = _size(8_192, 256, 688, 6, 4, 4, 256)
_20M = _size(8_192, 384, 1_024, 8, 6, 2, 256)
_30M = _size(16_384, 512, 1_376, 5, 8, 4, 256)
_60M = _size(32_000, 640, 1_728, 6, 10, 2, 512)
_120M = _size(50_176, 768, 2_048, 6, 12, 1, 512)
_WHOLE, _EAGER = {"loss_chunk_tokens": 0}, {"attn_implementation": "eager"}
_CHECKPOINTED, _THREE_PASSES = {"activation_checkpointing": True}, {"passes": 3}
CASES = {
    "10M": _10M,
    "10M, whole loss": _10M | _WHOLE,
    "10M, checkpointing": _10M | _CHECKPOINTED,
    "10M, whole loss, checkpointing, 3 passes": _10M | _WHOLE | _CHECKPOINTED | _THREE_PASSES,
    "10M, eager, 1,024 tokens": _10M | _EAGER | {"sequence_length": 1024, "per_device_train_batch_size": 1},
    "10M, eager, whole loss": _10M | _EAGER | _WHOLE | {"num_attention_heads": 8},
    "10M, bf16 autocast": _10M | {"bf16": True},
    "10M, bf16 autocast, whole loss, checkpointing": _10M | {"bf16": True} | _WHOLE | _CHECKPOINTED,
    "10M, vocabulary 4,096, 2 key-value heads": _10M | {"vocab_size": 4096, "num_key_value_heads": 2},
    "30M": _30M,
    "30M, whole loss, 3 passes": _30M | _WHOLE | _THREE_PASSES,
    "30M, eager, checkpointing": _30M | _EAGER | _CHECKPOINTED,
    "30M, AdamW not fused": _30M | {"optim": "adamw_torch"},
    "60M": _60M,
    "60M, whole loss, checkpointing": _60M | _WHOLE | _CHECKPOINTED,
    "60M, 3 passes, checkpointing": _60M | _THREE_PASSES | _CHECKPOINTED,
    "20M, two processes, DDP, checkpointing": _20M | _CHECKPOINTED | {"strategy": "ddp"},
    "20M, two processes, FSDP2": _20M | {"strategy": "fsdp"},
    "20M, two processes, FSDP2, checkpointing": _20M | _CHECKPOINTED | {"strategy": "fsdp"},
    "20M, two processes, FSDP2, checkpointing, 3 passes": _20M | _CHECKPOINTED | _THREE_PASSES | _each_pass(True),
    "20M, two processes, FSDP2, checkpointing, 3 passes, gradients whole": (
        _20M | _CHECKPOINTED | _THREE_PASSES | _each_pass(False)
    ),
    "120M": _120M,
    "120M, whole loss": _120M | _WHOLE,
    "120M, checkpointing": _120M | _CHECKPOINTED,
}


class RandomTokens(Dataset):
    """Sequences without a meaning."""

    def __init__(self, length: int, vocab_size: int, count: int = 10_000):
        self.length, self.vocab_size, self.count = length, vocab_size, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        ids = torch.randint(0, self.vocab_size, (self.length,), generator=torch.Generator().manual_seed(i))
        return {"input_ids": ids, "labels": ids}


def run_config(case: dict, folder: Path, steps: int = 2) -> PretrainConfig:
    """The settings of a case, as PretrainConfig has them; `passes` forward passes make a step."""
    settings = copy.deepcopy(case)  # Trainer writes into the dictionaries it is given
    processes = case_layout(settings.pop("strategy", "single")).processes
    passes = settings.pop("passes", 1) * processes
    settings["tokens_per_batch"] = settings["per_device_train_batch_size"] * settings["sequence_length"] * passes
    return PretrainConfig(
        output_dir=str(folder), max_steps=steps, save_strategy="no", eval_strategy="no", disable_tqdm=True, **settings
    )


def case_layout(strategy: str) -> Layout:
    """One process, or two that are copies (ddp) or shards (fsdp)."""
    axis = {"ddp": {"replicate": 2}, "fsdp": {"shard": 2}}.get(strategy, {})
    return Layout(processes=2 if axis else 1, strategy=strategy, use_cpu=True, **axis)


def planned_peak(case: dict) -> tuple[int, int, str]:
    """(parameters, bytes at the peak, the moment of it)."""
    config = run_config(case, Path(tempfile.gettempdir()))
    shape, layout = ModelShape.of(config), with_precision(case_layout(case.get("strategy", "single")), config)
    peak = memory_plan(shape, workload(config, layout), layout).peak
    return shape.parameters, peak.total, peak.name


def measured_peak(case: dict, environment: dict[str, str]) -> int:
    """Bytes that a training process held at most above its baseline."""
    command = [__file__, "--one", json.dumps(case)]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        if strategy := case.get("strategy"):
            file.write((CONFIGS / TWO_PROCESSES[strategy]).read_text().replace("bf16", "'no'"))
            file.flush()
            launcher = ["-m", "accelerate.commands.launch", "--config_file", file.name, "--num_processes", "2",
                        "--main_process_port", "0"]  # fmt: skip
            # Without a GPU accelerate does not shard; the tests have a way round that.
            command = [*launcher, *([str(CPU_AS_GPU)] if strategy == "fsdp" else []), *command]
        paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        variables = {**os.environ, **environment, "PYTHONPATH": paths}
        done = subprocess.run([sys.executable, *command], env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{case} failed:\n{done.stderr}")
    # Two processes may print on one line.
    return max(int(peak) for peak in re.findall(r'\{"peak_bytes": (\d+)\}', done.stdout))


def measure_here(case: dict) -> int:
    """`measured_peak` of this process, which must be fresh."""
    small = {**case, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 2,
             "num_key_value_heads": None, "vocab_size": 512, "sequence_length": 64}  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        _train(small)
        gc.collect()
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        before = _resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew (man 5 proc)
        _train(case)
    return _resident("VmHWM") - before


def _train(case: dict) -> None:
    with tempfile.TemporaryDirectory() as folder:
        config = run_config(case, Path(folder))
        shape = {name: getattr(config, name) for name in SHAPE}
        attention = choose_attention(config)
        settings = Nec13bConfig(**shape, max_position_embeddings=config.sequence_length, attn_implementation=attention)
        model = Nec13bForCausalLM(settings)
        model.config.use_cache = False
        apply_kernels(model, config)
        data = RandomTokens(config.sequence_length, config.vocab_size)
        PretrainTrainer(model=model, args=config, decisive={}, train_dataset=data).train()


def _resident(key: str) -> int:
    """A line of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES), metavar="CASE")
    parser.add_argument("--one", help="settings of one case as JSON, trained in this process")
    options = parser.parse_args()
    if options.one:
        print(json.dumps({"peak_bytes": measure_here(json.loads(options.one))}))
        return
    rows, errors = [], []
    for name in options.cases:
        case = CASES[name]
        parameters, planned, moment = planned_peak(case)
        exact, usual = (measured_peak(case, environment) for environment in (EXACT_MALLOC, {}))
        errors.append(planned / exact - 1)
        rows.append([name, f"{parameters:,}", f"{case['vocab_size']:,}", moment, f"{planned / 1e6:,.0f}",
                     f"{exact / 1e6:,.0f}", f"{errors[-1]:+.1%}", f"{usual / 1e6:,.0f}"])  # fmt: skip
        print(rows[-1], flush=True)
    head = ["case", "parameters", "vocabulary", "moment of the peak", "planned, MB", "measured, MB",
            "planned against measured", "measured, malloc as it comes, MB"]  # fmt: skip
    worst = max(errors, key=abs)
    body = (
        f"`python benchmarks/memory_model.py` on {machine()}. AdamW, fp32 unless a case says bf16, the loss in chunks "
        "unless it says whole, sdpa unless it says eager. Above the baseline before the model was made.\n\n"
        f"{table(head, rows)}\n\n"
        f"{sum(abs(error) <= 0.1 for error in errors)} of {len(errors)} cases are planned within 10%; the worst is "
        f"{worst:+.1%}, the mean {sum(errors) / len(errors):+.1%}."
    )
    write_section("Pre-training: the memory plan against measured peaks", body)


if __name__ == "__main__":
    main()
