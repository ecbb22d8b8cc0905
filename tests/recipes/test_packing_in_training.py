"""Training on packed documents: the loss is an average over tokens however the batch is dealt, and packing is fixed."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from nec13b.corpus import parse_sources, read_documents
from nec13b.pretraining import write_token_shards
from nec13b.pretraining.callbacks import read_metrics
from nec13b.pretraining.layout import Layout

ACCELERATE = ("-m", "accelerate.commands.launch", "--config_file")
PACKED = ["--packing", "best_fit", "--attend_across_documents", "false"]


def training_losses(output) -> list[float]:
    return [row["loss"] for row in read_metrics(Path(output)) if "loss" in row]


@pytest.fixture(scope="module")
def short_documents(small_corpus, tokenizer, tmp_path_factory) -> Path:
    """Packed tokens of short documents: the small corpus cut into stretches of 20 to 300 characters."""
    pieces = []
    for document in read_documents(parse_sources(str(small_corpus))):
        text = document.text
        while text:
            length = 20 + len(pieces) * 37 % 281
            if text[:length].strip():
                pieces.append(replace(document, text=text[:length], id=f"{document.id}-{len(pieces)}"))
            text = text[length:]
    folder = tmp_path_factory.mktemp("short") / "tokens"
    write_token_shards(pieces, tokenizer, folder, 0.2)
    return folder


@pytest.fixture(scope="module")
def short_run(small_run, short_documents) -> list[str]:
    """Four steps of eight sequences that are filled to different degrees."""
    shape = ["--sequence_length", "128", "--tokens_per_batch", "1024", "--max_steps", "4", "--eval_strategy", "no"]
    return [*small_run, "--tokens", str(short_documents), *shape, *PACKED]


@pytest.fixture
def one_process(short_run, run_recipe, tmp_path):
    """The folder of a run in one process that makes four passes for a step."""
    outcome = run_recipe("pretrain", *short_run, "--output_dir", tmp_path / "one")
    assert outcome.status == 0, outcome.err
    return tmp_path / "one"


def test_the_loss_does_not_depend_on_how_many_passes_make_a_step(one_process, short_run, run_recipe, tmp_path):
    losses = training_losses(one_process)
    assert len(losses) == 4
    for i, size in enumerate((1, 8)):
        outcome = run_recipe("pretrain", *short_run, "--per_device_train_batch_size", str(size),
                             "--output_dir", tmp_path / str(i))  # fmt: skip
        assert outcome.status == 0, outcome.err
        assert training_losses(tmp_path / str(i)) == pytest.approx(losses, abs=2e-5)


@pytest.mark.slow
def test_two_processes_follow_one(one_process, short_run, start_recipe, root, tmp_path):
    launcher = (*ACCELERATE, str(root / "accelerate_configs" / "cpu_2proc.yaml"), "--main_process_port", "0")
    process = start_recipe("pretrain", *short_run, "--output_dir", tmp_path / "run", launcher=launcher, cwd=tmp_path)
    said, _ = process.communicate(timeout=180)
    assert process.returncode == 0, said
    assert training_losses(tmp_path / "run") == pytest.approx(training_losses(one_process), abs=2e-5)


def test_the_packing_is_said_used_and_fixed_for_the_run(one_process, short_run, run_recipe, short_documents, tmp_path):
    assert (short_documents / "packing" / "best_fit-128" / "plan.json").is_file()
    losses = training_losses(one_process)
    for flags in (["--attend_across_documents", "true"], ["--packing", "concatenated"]):
        outcome = run_recipe("pretrain", *short_run, *flags, "--output_dir", tmp_path / flags[0])
        assert outcome.status == 0, outcome.err
        assert re.search(r"sequences \d+\.\d\d% full", outcome.out)
        assert training_losses(tmp_path / flags[0])[0] != pytest.approx(losses[0], abs=1e-5)
    for flags, said in (
        (["--packing", "concatenated"], "packing = best_fit, now it is concatenated"),
        (["--attend_across_documents", "true"], "attend_across_documents = False, now it is True"),
    ):
        outcome = run_recipe("pretrain", *short_run, *flags, "--output_dir", one_process)
        assert outcome.status == 2
        assert said in outcome.err
        assert outcome.err.count("\n") == 1
    outcome = run_recipe("pretrain", *short_run, "--packing", "tight", "--output_dir", one_process)
    assert "packing must be one of concatenated, best_fit, not 'tight'" in outcome.err


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda t: (t / "train-ja.ends").write_bytes((t / "train-ja.ends").read_bytes()[:-8]), "train-ja.ends has"),
        (lambda t: (t / "train-ja-00000.bin").write_bytes(b""), "train-ja-00000.bin has 0 bytes instead of"),
        (lambda t: edit_index(t, format="nec13b-token-shards-1"), "tokens of an older version.*overwrite_output_dir"),
    ],
)
def test_damaged_tokens_end_in_one_line(short_run, run_recipe, short_documents, tmp_path, damage, said):
    shutil.copytree(short_documents, tmp_path / "tokens")
    damage(tmp_path / "tokens")
    outcome = run_recipe("pretrain", *short_run, "--tokens", tmp_path / "tokens", "--output_dir", tmp_path / "run")
    assert outcome.status == 2
    assert outcome.err.count("\n") == 1
    assert re.search(said, outcome.err)


def edit_index(tokens: Path, **values) -> None:
    index = json.loads((tokens / "index.json").read_text())
    (tokens / "index.json").write_text(json.dumps(index | values))


def test_context_parallelism_cannot_keep_documents_apart(short_run, run_recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(
        Layout, "from_environment", classmethod(lambda cls, *_: cls(processes=2, strategy="fsdp", context=2))
    )
    outcome = run_recipe("pretrain", *short_run, "--output_dir", tmp_path / "run")
    assert outcome.status == 2
    assert "attend_across_documents false needs each sequence whole on one GPU" in outcome.err
