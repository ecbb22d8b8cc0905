"""Preferences as tokens: where answers begin and end, what gives way where they are too long."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trl.trainer.dpo_trainer import DataCollatorForPreference

from nec13b.alignment.alignment_data import alignment_data, encoded_preference, stored_data_set
from nec13b.errors import InputError
from nec13b.preferences.preference import Preference


def said(role: str, content: str) -> dict:
    return {"role": role, "content": content}


def preference(prompt: list[dict], chosen: str = "はい。", rejected: str = "いいえ。", source: str = "") -> Preference:
    return Preference(prompt, [said("assistant", chosen)], [said("assistant", rejected)], source=source)


LONG = [
    said("system", "短く。"), said("user", "一つ目の質問です。"), said("assistant", "一つ目の答えです。"),
    said("user", "二つ目の質問です。"), said("assistant", "二つ目の答えです。"), said("user", "三つ目は？"),
]  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_prompt_and_answers_are_what_the_template_renders(tokenizer, question, chosen, rejected):
    ids = tokenizer.tokenizer
    one = preference([said("user", question)], chosen, rejected)
    row = encoded_preference(ids, one.prompt, one)
    for side, answer in (("chosen", one.chosen), ("rejected", one.rejected)):
        whole = ids.apply_chat_template([*one.prompt, *answer], tokenize=True, return_dict=True)["input_ids"]
        sequence = row["prompt_ids"] + row[f"{side}_ids"]
        assert sequence == whole[: len(sequence)]
        assert sequence[-1] == ids.convert_tokens_to_ids("<|im_end|>")
        assert len(whole) - len(sequence) <= 1  # the line's end after it
    asked = ids.apply_chat_template(one.prompt, add_generation_prompt=True, tokenize=True, return_dict=True)
    assert row["prompt_ids"] == asked["input_ids"][: len(row["prompt_ids"])]
    assert len(asked["input_ids"]) - len(row["prompt_ids"]) <= 1


def test_of_several_turns_only_the_last_answer_is_compared(tokenizer):
    row = encoded_preference(tokenizer.tokenizer, LONG, preference(LONG))
    assert tokenizer.tokenizer.decode(row["chosen_ids"]) == "はい。<|im_end|>"
    assert "二つ目の答え" in tokenizer.tokenizer.decode(row["prompt_ids"])


def test_a_long_prompt_loses_its_first_exchanges_and_answers_nothing(tokenizer):
    ids, one = tokenizer.tokenizer, preference(LONG, source="a")
    whole = len(ids.apply_chat_template([*LONG, *one.rejected], tokenize=True, return_dict=True)["input_ids"])
    data = alignment_data([one], [one], ids, whole - 4, 10)
    assert data.counts["shortened"] == 1
    text = ids.decode(data.train[0]["prompt_ids"])
    assert "短く。" in text
    assert "一つ目" not in text
    assert "二つ目の質問" in text
    assert ids.decode(data.train[0]["chosen_ids"]) == "はい。<|im_end|>"
    assert data.prompts["a"] == [[LONG[0], *LONG[3:]]]
    longest = max(len(data.train[0]["prompt_ids"] + data.train[0][side]) for side in ("chosen_ids", "rejected_ids"))
    assert longest <= whole - 4


def test_what_does_not_fit_is_left_out_and_counted(tokenizer):
    short, long = preference([said("user", "春は？")]), preference([said("user", "春は？")], "長" * 90)
    data = alignment_data([short, long], [short, long, short], tokenizer.tokenizer, 40, 1)
    assert len(data.train) == 1
    assert data.counts == {"shortened": 0, "too_long": 1}
    assert len(data.held_out["preferences"]) == 1
    assert any("1 preferences do not fit" in line for line in data.lines())
    with pytest.raises(InputError, match="no preference fits in max_length 40"):
        alignment_data([long], [], tokenizer.tokenizer, 40, 1)
    with pytest.raises(InputError, match="no preferences to train on"):
        alignment_data([], [], tokenizer.tokenizer, 40, 1)


def test_prompts_are_sampled_from_the_sources_in_turn(tokenizer):
    held_out = [preference([said("user", f"{source}{number}")], source=source)
                for source in "abc" for number in range(3 if source != "b" else 1)]  # fmt: skip
    data = alignment_data(held_out, held_out, tokenizer.tokenizer, 60, 9)
    assert [prompt[0]["content"] for prompt in data.sampled_prompts(6)] == ["a0", "b0", "c0", "a1", "c1", "a2"]
    assert len(data.sampled_prompts(99)) == 7


def test_a_data_set_is_written_once_and_found_again(tokenizer, tmp_path):
    rows = alignment_data([preference(LONG)], [], tokenizer.tokenizer, 200, 1).train
    first = stored_data_set(rows, tmp_path, write=True)
    again = stored_data_set(rows, tmp_path, write=False)
    assert first._fingerprint == again._fingerprint
    assert again[0] == rows[0]
    assert len(list(tmp_path.iterdir())) == 1
    other = stored_data_set(rows * 2, tmp_path, write=True)
    assert other._fingerprint != first._fingerprint


def test_trls_collator_masks_the_prompt_alone(tokenizer):
    rows = alignment_data([preference(LONG), preference([said("user", "春は？")], "花が咲く。")], [],
                          tokenizer.tokenizer, 200, 1).train  # fmt: skip
    batch = DataCollatorForPreference(pad_token_id=tokenizer.tokenizer.pad_token_id)(rows)
    for number, row in enumerate(rows):
        for place, side in ((number, "chosen_ids"), (number + len(rows), "rejected_ids")):
            answer = batch["input_ids"][place][batch["completion_mask"][place] == 1].tolist()
            assert answer == row[side]
