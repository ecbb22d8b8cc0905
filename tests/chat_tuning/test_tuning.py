"""Tuning on dialogues: packed as alone, held-out losses exact, adapters that merge to the same answers."""

import json
from pathlib import Path

import pytest
import torch
from peft import AutoPeftModelForCausalLM
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from nec13b import Nec13bForCausalLM
from nec13b.chat_tuning.answers import answers
from nec13b.chat_tuning.chatml import IGNORED, encoded_dialogue
from nec13b.chat_tuning.tuning_config import ChatTuneConfig
from nec13b.chat_tuning.tuning_data import as_data_set, in_turn, tuning_data
from nec13b.chat_tuning.tuning_run import run_tuning
from nec13b.chat_tuning.tuning_trainer import ChatTrainer
from nec13b.dialogues import Dialogue
from nec13b.errors import InputError

EXCHANGES = [
    ("春は？", "花。"),
    ("夏は？", "海と山。"),
    ("秋は？", "月を見る。"),
    ("冬は？", "雪。こたつ。"),
    ("朝は？", "パン。"),
]


def dialogue(*numbers: int) -> Dialogue:
    messages = []
    for number in numbers:
        question, answer = EXCHANGES[number % len(EXCHANGES)]
        messages += [
            {"role": "user", "content": f"{number}{question}"}, {"role": "assistant", "content": f"{answer}{number}"}
        ]  # fmt: skip
    return Dialogue(messages, source="test")


@pytest.fixture
def base(tiny_checkpoint) -> Path:
    return tiny_checkpoint


@pytest.fixture
def dialogues_file(tmp_path) -> Path:
    """40 dialogues as JSONL."""
    path = tmp_path / "dialogues.jsonl"
    rows = [json.dumps(dialogue(i, i + 1).to_row(), ensure_ascii=False) for i in range(40)]
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def config(base: Path, output: Path, **changes) -> ChatTuneConfig:
    values = {
        "model": str(base), "output_dir": str(output), "max_length": 128, "rows_per_batch": 2, "bf16": False,
        "per_device_train_batch_size": 1, "per_device_eval_batch_size": 3, "max_steps": 4, "learning_rate": 1e-2,
        "eval_steps": 2, "save_steps": 2, "held_out_fraction": 0.2, "cpu_threads": 1, "disable_tqdm": True,
    }  # fmt: skip
    return ChatTuneConfig(**{**values, **changes})


def alone(model, tokenizer, one: Dialogue) -> tuple[float, int]:
    """(sum of the losses of what the assistant wrote, how many tokens) of a dialogue by itself, the plain way."""
    ids, labels = encoded_dialogue(tokenizer, one.messages)
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, :-1]
    wanted = torch.tensor(labels[1:])
    loss = torch.nn.functional.cross_entropy(logits, wanted, reduction="sum", ignore_index=IGNORED)
    return loss.item(), int((wanted != IGNORED).sum())


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_packed_dialogue_has_the_same_loss_as_alone(base, tokenizer, tmp_path, attention):
    model = Nec13bForCausalLM.from_pretrained(base, attn_implementation=attention).eval()
    some = [dialogue(i, *range(i % 3)) for i in range(9)]
    trainer = ChatTrainer(
        model=model, args=config(base, tmp_path / "run", max_length=256, eval_strategy="no"), decisive={},
        train_dataset=as_data_set(some, tokenizer.tokenizer), processing_class=tokenizer.tokenizer,
    )  # fmt: skip
    rows = list(trainer.train_dataset)
    assert 1 < len(rows) < len(some)
    assert max(len(row["seq_lengths"]) for row in rows) > 2
    expected = {tuple(encoded_dialogue(tokenizer.tokenizer, d.messages)[0]): alone(model, tokenizer.tokenizer, d)
                for d in some}  # fmt: skip
    for row in rows:
        batch = trainer.data_collator([row])
        with torch.no_grad():
            logits = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"]).logits[0, :-1]
        labels = batch["labels"][0, 1:]
        losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none", ignore_index=IGNORED)
        start = 0
        for length in row["seq_lengths"]:
            key = tuple(batch["input_ids"][0, start : start + length].tolist())
            total, count = expected.pop(key)
            place = slice(max(0, start - 1), start + length - 1)
            assert int((labels[place] != IGNORED).sum()) == count
            assert losses[place].sum().item() == pytest.approx(total, rel=1e-4)
            start += length
    assert not expected


def test_the_held_out_loss_is_the_mean_over_tokens(base, tokenizer, tmp_path):
    model = Nec13bForCausalLM.from_pretrained(base)
    held_out = [dialogue(*range(1 + i % 4)) for i in range(7)]  # of different lengths, in batches of three
    trainer = ChatTrainer(
        model=model, args=config(base, tmp_path / "run"), decisive={},
        train_dataset=as_data_set([dialogue(1)], tokenizer.tokenizer),
        eval_dataset=as_data_set(held_out, tokenizer.tokenizer), processing_class=tokenizer.tokenizer,
    )  # fmt: skip
    measured = trainer.evaluate()["eval_loss"]
    sums = [alone(model.eval(), tokenizer.tokenizer, one) for one in held_out]
    assert measured == pytest.approx(sum(s for s, _ in sums) / sum(n for _, n in sums), rel=1e-5)


def test_dialogues_that_do_not_fit_are_counted(tokenizer):
    long = Dialogue([{"role": "user", "content": "長" * 90}, {"role": "assistant", "content": "い"}], source="test")
    data = tuning_data([dialogue(1), dialogue(1, 2, 3, 4), long], [dialogue(2)] * 5, tokenizer.tokenizer, 60, 3)
    assert len(data.train) == 2
    assert data.counts == {"shortened": 1, "too_long": 1}
    assert len(data.held_out["test"]) == 3
    with pytest.raises(InputError, match="no dialogue fits in max_length 12"):
        tuning_data([long], [], tokenizer.tokenizer, 12, 3)
    again = tuning_data([long, dialogue(1, 2, 3, 4), dialogue(1)], [dialogue(2)] * 5, tokenizer.tokenizer, 60, 3)
    assert again.fingerprint == data.fingerprint


def test_tuning_lowers_the_held_out_loss_and_goes_on_where_it_stopped(base, tmp_path, dialogues_file, capsys):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    flags = {"dialogues": [str(dialogues_file)], "eval_on_start": True, "neftune_noise_alpha": 5.0,
             "sample_questions": ["春は？"], "sample_tokens": 4}  # fmt: skip
    run_tuning(config(base, whole, **flags))
    first = capsys.readouterr().out
    curves = [row for row in rows_of(whole) if any(name.startswith("eval_") for name in row)]
    losses = [row[next(name for name in row if name.endswith("_loss"))] for row in curves]
    assert losses[-1] < losses[0] - 0.5
    assert "of them trained" in first
    assert "Next: python -m nec13b.chat" in first

    with pytest.raises(KeyboardInterrupt):
        interrupted(config(base, parts, **flags), after=3)
    assert (parts / "checkpoint-2" / "complete.json").is_file()
    run_tuning(config(base, parts, **flags))
    assert "going on from" in capsys.readouterr().out
    same = AutoModelForCausalLM.from_pretrained(parts / "model").state_dict()
    for name, tensor in AutoModelForCausalLM.from_pretrained(whole / "model").state_dict().items():
        assert torch.equal(tensor, same[name]), name
    assert (parts / "samples.md").read_text() == (whole / "samples.md").read_text()
    records = [json.loads((run / "run.json").read_text()) for run in (whole, parts)]
    assert records[0]["counts"] == records[1]["counts"]
    assert [record["machine"]["resumed_from"] for record in records] == [None, str(parts / "checkpoint-2")]
    assert records[0]["counts"]["tokens"] > 0
    run_tuning(config(base, parts, **flags))
    assert "complete" in capsys.readouterr().out
    with pytest.raises(InputError, match="learning_rate"):
        run_tuning(config(base, parts, **{**flags, "learning_rate": 1e-3}))


def interrupted(settings: ChatTuneConfig, after: int) -> None:
    """Runs until a step and stops there as a crash would."""
    original = ChatTrainer.training_step

    def step(self, *args, **kwargs):
        if self.state.global_step >= after:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    ChatTrainer.training_step = step
    try:
        run_tuning(settings)
    finally:
        ChatTrainer.training_step = original


def rows_of(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def test_adapter_and_merged_model_say_the_same(base, tokenizer, tmp_path, dialogues_file):
    output = tmp_path / "lora"
    run_tuning(config(base, output, dialogues=[str(dialogues_file)], adapter="lora", merge_adapter=True, lora_rank=4))
    assert not (output / "adapter" / "model.safetensors").exists()
    adapter = AutoPeftModelForCausalLM.from_pretrained(output / "adapter").eval()
    merged = AutoModelForCausalLM.from_pretrained(output / "model").eval()
    before = AutoModelForCausalLM.from_pretrained(base).eval()
    ids = torch.tensor([encoded_dialogue(tokenizer.tokenizer, dialogue(1, 2).messages)[0]])
    with torch.no_grad():
        torch.testing.assert_close(adapter(ids).logits, merged(ids).logits, rtol=1e-4, atol=1e-4)
        assert (merged(ids).logits - before(ids).logits).abs().max() > 1e-2
    prompts = [[{"role": "user", "content": "春は？"}], [{"role": "user", "content": "冬は、どうですか？"}]]
    ids = tokenizer.tokenizer
    assert answers(adapter, ids, prompts, 12) == answers(merged, ids, prompts, 12)
    assert merged.generation_config.eos_token_id[0] == ids.convert_tokens_to_ids("<|im_end|>")


def test_an_adapter_of_a_model_that_got_new_tokens_finds_its_base(base, tmp_path, dialogues_file):
    model = Nec13bForCausalLM.from_pretrained(base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    bare = tokenizer.backend_tokenizer.to_str().replace("<|im_start|>", "<|was_a|>").replace("<|im_end|>", "<|was_b|>")
    other = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(bare), bos_token=tokenizer.bos_token,
        eos_token=tokenizer.eos_token, pad_token=tokenizer.pad_token,
    )  # fmt: skip
    model.save_pretrained(tmp_path / "bare")
    other.save_pretrained(tmp_path / "bare")
    settings = {"dialogues": [str(dialogues_file)], "adapter": "lora", "merge_adapter": True, "add_chat_tokens": True}
    run_tuning(config(tmp_path / "bare", tmp_path / "run", **settings))
    tuned = AutoTokenizer.from_pretrained(tmp_path / "run" / "adapter")
    adapter = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "run" / "adapter").eval()
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "model").eval()
    ids = torch.tensor([encoded_dialogue(tuned, dialogue(1, 2).messages)[0]])
    assert ids.max() >= len(other)
    with torch.no_grad():
        torch.testing.assert_close(adapter(ids).logits, merged(ids).logits, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_a_real_chat_model_out_of_a_gguf_file_takes_an_adapter(smollm2_gguf, tmp_path, dialogues_file):
    settings = {"dialogues": [str(dialogues_file)], "adapter": "lora", "merge_adapter": True, "max_steps": 1,
                "learning_rate": 1e-3, "eval_strategy": "no"}  # fmt: skip
    run_tuning(config(smollm2_gguf, tmp_path / "run", **settings))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "run" / "adapter")
    adapter = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "run" / "adapter").eval()
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "model").eval()
    prompts = [[{"role": "user", "content": "What is the capital of France?"}]]
    both = [answers(model, tokenizer, prompts, 8, temperature=0) for model in (adapter, merged)]
    assert both[0] == both[1]
    assert both[0][0].text


def test_an_answer_in_a_batch_is_the_one_given_alone(base, tokenizer):
    model = Nec13bForCausalLM.from_pretrained(base).eval()
    prompts = [[{"role": "user", "content": text}] for text in ("春", "夏はどうですか。長い文です。", "秋は？")]
    together = answers(model, tokenizer.tokenizer, prompts, 8, temperature=0)
    single = [answers(model, tokenizer.tokenizer, [prompt], 8, temperature=0)[0] for prompt in prompts]
    assert together == single


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"adapter": "lorra"}, "adapter must be one of"),
        ({"adapter": "qlora"}, "qlora needs a GPU"),
        ({"merge_adapter": True}, "needs an adapter"),
        ({"rows_per_batch": 3, "per_device_train_batch_size": 2}, "not a multiple"),
        ({"gradient_accumulation_steps": 2}, "follows from rows_per_batch"),
        ({"held_out_fraction": 1.0}, "held_out_fraction"),
        ({"max_length": 1}, "max_length"),
    ],
)
def test_settings_that_cannot_be_are_refused(base, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        config(base, tmp_path, **changes)


def test_a_window_that_is_too_short_is_refused(base, tmp_path, dialogues_file):
    with pytest.raises(InputError, match="longer than the window"):
        run_tuning(config(base, tmp_path / "run", dialogues=[str(dialogues_file)], max_length=512))
    with pytest.raises(InputError, match="--model"):
        run_tuning(config(base, tmp_path / "run", model=None))


def test_sources_take_turns():
    assert list(in_turn([[1, 2, 3], [], ["a"], [None, 0]])) == [1, "a", None, 2, 0, 3]
    assert list(in_turn([])) == []
