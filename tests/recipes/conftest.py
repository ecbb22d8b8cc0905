"""Running recipes in tests: in this process for speed, or as a user does, in one of its own."""

import contextlib
import io
import runpy
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from run_losses import losses

from nec13b.corpus import parse_sources, read_documents
from nec13b.pretraining import write_token_shards

# What a launch on the CPU changes in a config for GPUs.
ON_CPU = {"num_machines": 1, "mixed_precision": "no"}


@dataclass
class Outcome:
    """How a recipe ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def run_recipe(root, monkeypatch, capfd):
    """Runs `recipes/<name>.py` with flags in this process and returns its Outcome."""

    def run(name: str, *flags: str) -> Outcome:
        script = root / "recipes" / f"{name}.py"
        monkeypatch.setattr(sys, "argv", [str(script), *map(str, flags)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(script), run_name="__main__")
        return Outcome(ended.value.code, *capfd.readouterr())

    return run


@pytest.fixture(scope="session")
def said_by_recipe(root):
    """Runs a recipe in this process, for fixtures that many tests share; it must not fail. Returns what it said."""

    def run(name: str, *flags: str) -> str:
        script = root / "recipes" / f"{name}.py"
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
            patch.setattr(sys, "argv", [str(script), *map(str, flags)])
            with pytest.raises(SystemExit) as ended:
                runpy.run_path(str(script), run_name="__main__")
        assert ended.value.code == 0, out.getvalue()
        return out.getvalue()

    return run


@pytest.fixture(scope="session")
def tokens(small_corpus, tokenizer, tmp_path_factory) -> Path:
    """Packed tokens of the small corpus."""
    folder = tmp_path_factory.mktemp("packed") / "tokens"
    write_token_shards(read_documents(parse_sources(str(small_corpus))), tokenizer, folder, 0.2)
    return folder


@pytest.fixture(scope="session")
def small_run(tokens, tokenizer) -> list[str]:
    """Flags of a pre-training run of 12 steps, each long enough (a tenth of a second) to be caught in the middle."""
    return [
        "--tokens", str(tokens), "--tokenizer", tokenizer.path, "--hidden_size", "32", "--intermediate_size", "64",
        "--num_hidden_layers", "2", "--num_attention_heads", "2", "--sequence_length", "32", "--tokens_per_batch",
        "512", "--per_device_train_batch_size", "2", "--max_steps", "12", "--warmup_steps", "2", "--save_steps", "4",
        "--eval_steps", "6", "--eval_sequences", "8", "--cpu_threads", "1", "--sample_tokens", "4",
    ]  # fmt: skip


@pytest.fixture(scope="session")
def uninterrupted(said_by_recipe, small_run, tmp_path_factory) -> Path:
    """The folder of that run on one process, which other runs are compared with; not to change."""
    output = tmp_path_factory.mktemp("uninterrupted") / "run"
    said_by_recipe("pretrain", *small_run, "--output_dir", output)
    return output


@pytest.fixture(scope="session")
def one_process(uninterrupted) -> list[tuple[int, str, float]]:
    """The losses of that run."""
    return losses(uninterrupted)


@pytest.fixture
def start_recipe(root):
    """Starts `recipes/<name>.py` in a process of its own; it is killed when the test ends."""
    processes = []

    def start(name: str, *flags: str, launcher: tuple[str, ...] = (), cwd=None) -> subprocess.Popen:
        command = [sys.executable, *launcher, str(root / "recipes" / f"{name}.py"), *map(str, flags)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cwd)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def command(root, tmp_path):
    """The command line that runs a recipe under an accelerate config with other sizes on the CPU, into tmp_path/run."""

    def build(name, processes, flags, recipe="pretrain", **sizes):
        config = yaml.safe_load((root / "accelerate_configs" / f"{name}.yaml").read_text())
        config |= {**ON_CPU, "num_processes": processes}
        for dimension, size in sizes.items():
            config["parallelism_config"][f"parallelism_config_{dimension}_size"] = size
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(config))
        launcher = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(path)]
        launcher += ["--main_process_port", "0", str(root / "tests" / "recipes" / "cpu_as_gpu.py")]
        return [*launcher, str(root / "recipes" / f"{recipe}.py"), *flags, "--output_dir", str(tmp_path / "run")]

    return build
