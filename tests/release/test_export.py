"""An exported model says what the model says, without this project; its card says what the records say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from nec13b import Nec13bConfig, Nec13bForCausalLM
from nec13b.errors import InputError
from nec13b.llama_conversion import load_as_nec13b
from nec13b.release import exporting
from nec13b.release.export_config import ExportConfig
from nec13b.release.exporting import export
from nec13b.release.hub_push import push
from nec13b.release.stage_records import stage_records

INTERPOLATED = {
    "rope_type": "interpolation", "rope_theta": 10000.0, "method": "by_parts", "factor": 8.0,
    "original_max_position_embeddings": 32, "high_rotations": 16.0, "attention_temperature": 0.87,
}  # fmt: skip
ALONE = """
import sys
sys.modules["nec13b"] = None  # as where it is not installed
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, ids, out = sys.argv[1:]
model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto").eval()
assert type(model).__name__ == "LlamaForCausalLM", type(model)
assert AutoTokenizer.from_pretrained(folder).chat_template
torch.save([model(each).logits for each in torch.load(ids)], out)
"""


@pytest.fixture(scope="module")
def checkpoint(tokenizer, tmp_path_factory) -> Path:
    """A model with interpolated frequencies, its weights large enough that a wrong one would show."""
    torch.manual_seed(0)
    ids, folder = tokenizer.tokenizer, tmp_path_factory.mktemp("run") / "model"
    config = Nec13bConfig(
        vocab_size=tokenizer.padded_vocab_size, hidden_size=64, intermediate_size=160, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=256, pad_token_id=ids.pad_token_id,
        bos_token_id=ids.bos_token_id, eos_token_id=ids.eos_token_id, rope_parameters=INTERPOLATED,
    )  # fmt: skip
    model = Nec13bForCausalLM(config)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data *= 3
    model.save_pretrained(folder)
    ids.save_pretrained(folder)
    return folder


@torch.inference_mode()
def test_plain_transformers_gives_the_same_logits_without_this_project(checkpoint, tmp_path):
    export(ExportConfig(str(checkpoint), str(tmp_path / "out")))
    texts = [torch.randint(300, 1000, (1, length)) for length in (16, 250)]  # within the old window and far beyond
    torch.save(texts, tmp_path / "ids.pt")
    arguments = [str(tmp_path / "out" / "llama"), str(tmp_path / "ids.pt"), str(tmp_path / "logits.pt")]
    done = subprocess.run([sys.executable, "-c", ALONE, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    model = load_as_nec13b(checkpoint).eval()
    for ids, logits in zip(texts, torch.load(tmp_path / "logits.pt"), strict=True):
        torch.testing.assert_close(logits, model(ids).logits, rtol=0, atol=2e-4)
    names = {path.name for path in (tmp_path / "out" / "llama").iterdir()}
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= names
    assert not [name for name in names if name.endswith((".py", ".bin", ".tmp"))]


def test_every_form_is_written_in_the_precision_and_in_shards(checkpoint, tmp_path, capsys):
    config = ExportConfig(
        str(checkpoint), str(tmp_path), forms=["llama", "nec13b", "gguf"], dtype="bfloat16", max_shard_size="200KB"
    )
    export(config)
    assert len(list((tmp_path / "llama").glob("model-*.safetensors"))) > 1
    assert (tmp_path / "nec13b" / "modeling_nec13b.py").is_file()
    assert (tmp_path / "gguf" / "model.gguf").stat().st_size > 100_000
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "llama", dtype="auto").dtype == torch.bfloat16
    record = json.loads((tmp_path / "run.json").read_text())
    assert [each["tokens"] for each in record["metrics"]["llama"]] == [32, 256]
    assert "llama, 256 tokens: logits differ by at most" in capsys.readouterr().out
    export(config)
    assert "holds this export already" in capsys.readouterr().out


@torch.inference_mode()
def test_an_adapter_leaves_as_the_sum_with_its_base(checkpoint, tmp_path):
    torch.manual_seed(1)
    tuned = get_peft_model(load_as_nec13b(checkpoint), LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM"))
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.1)
    tuned.save_pretrained(tmp_path / "adapter")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (tmp_path / "adapter" / name).write_bytes((checkpoint / name).read_bytes())
    export(ExportConfig(str(tmp_path / "adapter"), str(tmp_path / "out")))
    ids = torch.arange(300, 400)[None]
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "llama").eval()
    torch.testing.assert_close(whole(ids).logits, tuned.eval()(ids).logits, rtol=0, atol=1e-3)


def test_a_form_that_says_something_else_is_not_called_good(checkpoint, tmp_path, monkeypatch):
    def write_wrong(source, form, folder, max_shard_size):
        written = exporting_write_form(source, form, folder, max_shard_size)
        config = json.loads((written / "config.json").read_text())
        config["rope_parameters"]["long_factor"][-1] = config["rope_parameters"]["short_factor"][-1] = 1.0
        (written / "config.json").write_text(json.dumps(config))
        return written

    exporting_write_form = exporting.write_form
    monkeypatch.setattr(exporting, "write_form", write_wrong)
    with pytest.raises(InputError, match="does not say what the model says"):
        export(ExportConfig(str(checkpoint), str(tmp_path)))
    assert not (tmp_path / "run.json").exists()


def test_what_a_llama_cannot_hold_is_refused_and_nothing_is_left(checkpoint, tmp_path):
    model = load_as_nec13b(checkpoint, {"rope_parameters": {**INTERPOLATED, "log_length_attention": True}})
    model.save_pretrained(tmp_path / "model")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "model" / name).write_bytes((checkpoint / name).read_bytes())
    with pytest.raises(InputError, match="log_length_attention"):
        export(ExportConfig(str(tmp_path / "model"), str(tmp_path / "out")))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["made_from.json"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"forms": ["onnx"]}, "there is no form 'onnx'"),
        ({"forms": []}, "forms is empty"),
        ({"dtype": "int4"}, "dtype must be one of"),
        ({"push_to": "a/b", "push_form": "gguf"}, "push_form 'gguf' is not among"),
        ({"push_to": "nowhere"}, "push_to must be owner/name"),
        ({"model": "nowhere"}, "cannot load a model from nowhere"),
        ({"limits": "nowhere.md"}, "limits: cannot read nowhere.md"),
    ],
)
def test_mistakes_are_told(checkpoint, tmp_path, settings, said):
    with pytest.raises(InputError, match=said):
        export(ExportConfig(**{"model": str(checkpoint), "output_dir": str(tmp_path / "out"), **settings}))
    assert not (tmp_path / "out").exists()


def test_a_dry_run_writes_nothing(checkpoint, tmp_path, capsys):
    export(ExportConfig(str(checkpoint), str(tmp_path / "out"), push_to="me/mine", dry_run=True))
    assert "would push" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def write_record(folder: Path, stage: str, **values) -> Path:
    """A run record as a recipe leaves it; the place of its model."""
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"stage": stage, "started": "2026-11-01T00:00:00", **values}))
    return folder / "model"


@pytest.fixture
def chain(tmp_path) -> Path:
    """Records of a corpus, a tokenizer, a base and a chat model; the place of the last."""
    corpus = write_record(
        tmp_path / "clean", "clean_corpus", config={},
        inputs={"corpus": [{"location": "hub:org/web|text", "licence": "ODC-By"}, {"location": "/", "label": "books"}]},
    ).parent  # fmt: skip
    tokenizer = write_record(tmp_path / "tokenizer", "train_tokenizer", config={"corpus": [f"{corpus},label=c"]}).parent
    base = write_record(
        tmp_path / "base", "pretrain", config={"tokenizer": str(tokenizer), "corpus": [str(corpus)],
        "learning_rate": 1e-4, "tokens_per_batch": 4_194_304, "sequence_length": 2048, "hub_token": None},
        counts={"steps": 10, "tokens": 41_943_040, "epochs": {"ja": 0.5},
        "streams": {"train/ja": {"documents": 7, "tokens": 99}, "held_out/ja": {"documents": 1, "tokens": 9}}},
        metrics={"held_out_loss": {"ja": 2.5}, "held_out_loss_at_start": {"ja": 10.0}},
        machine={"processes": 512, "device": "cuda"}, timings_seconds={"training": 7200.0}, git_commit="abc",
    )  # fmt: skip
    return write_record(
        tmp_path / "chat", "chat_tune", inputs={"dialogues": "sha1:0"}, counts={"steps": 3},
        config={"model": str(base), "learning_rate": 2e-5, "dialogues": ["sample", "a/b.jsonl,licence=MIT"]},
    )  # fmt: skip


def test_the_stages_are_found_in_the_order_in_which_they_ran(chain):
    assert [record.stage for record in stage_records(chain)] == [
        "clean_corpus", "train_tokenizer", "pretrain", "chat_tune",
    ]  # fmt: skip
    assert stage_records(chain.parent.parent / "nowhere") == []


def test_stages_that_name_each_other_end(tmp_path):
    first = write_record(tmp_path / "a", "pretrain", config={"model": str(tmp_path / "b" / "model")})
    write_record(tmp_path / "b", "chat_tune", config={"model": str(first)})
    assert [record.stage for record in stage_records(first)] == ["chat_tune", "pretrain"]


def test_the_card_says_what_the_records_say(checkpoint, chain, tmp_path):
    chain.mkdir()
    for path in checkpoint.iterdir():
        (chain / path.name).write_bytes(path.read_bytes())
    (tmp_path / "limits.md").write_text("Only for trying out.", encoding="utf-8")
    export(ExportConfig(
        str(chain), str(tmp_path / "out"), licence="apache-2.0", limits=str(tmp_path / "limits.md"),
        push_to=str(tmp_path / "hub"),
    ))  # fmt: skip
    card = (tmp_path / "hub" / "README.md").read_text(encoding="utf-8")
    head, _, body = card.removeprefix("---\n").partition("\n---\n")
    assert "license: apache-2.0" in head
    assert "pipeline_tag: text-generation" in head
    for line in (
        "# chat", "| ja | 7 | 99 | 0.50 |", "| corpus | hub:org/web\\|text | ODC-By |",
        "| corpus | books | not stated |",
        "| chat tuning | b.jsonl | MIT |", "| chat tuning | the sample of nec13b | Apache-2.0 |",
        "| pre-training | 10 | 41,943,040 | 0.0001 | 4,194,304 | 2,048 | 512 x cuda | 2.00 |",
        "| pre-training | ja | 10.000 | 2.500 |", "Only for trying out.",
    ):  # fmt: skip
        assert line in body, line
    stages = (tmp_path / "hub" / "stages.json").read_text()
    assert json.loads(stages)[2]["config"]["learning_rate"] == 1e-4
    assert (tmp_path / "hub" / "model.safetensors").is_file()


def test_a_push_that_cannot_be_is_told(tmp_path):
    with pytest.raises(InputError, match="push_to must be owner/name"):
        push(tmp_path, "nothing", private=True, message="")
    with pytest.raises(InputError, match=r"the Hub did not take me/mine|needs a token"):
        push(tmp_path, "me/mine", private=True, message="")
