"""Every form of a checkpoint loads; what cannot chat is refused with what to do; user text makes no special tokens."""

import dataclasses
import json
import shutil

import peft
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_chat_model import WINDOW, chat_folder, chat_model, random_model  # noqa: F401
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from nec13b.chat.answer import Answer
from nec13b.chat.chat_model import ChatModel, load_chat_model
from nec13b.chat.settings import ChatSettings, Sampling, parse_chat_settings
from nec13b.errors import InputError
from nec13b.release.gguf_file import write_gguf
from nec13b.tokenization.special_tokens import BOS, EOS, IM_END, IM_START, SPECIAL_TOKENS

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)  # as other projects have it: it trusts the text


def settings_of(*words) -> ChatSettings:
    return parse_chat_settings([str(word) for word in words])


def said_by(model: ChatModel) -> str:
    prompt = model.prompt_ids([{"role": "user", "content": "こんにちは"}])
    return "".join(Answer(model, prompt, Sampling(temperature=0, max_new_tokens=12)))


def test_a_folder_loads_with_its_window_and_its_ends(chat_folder):  # noqa: F811
    model = load_chat_model(settings_of(chat_folder))
    assert model.window == WINDOW
    assert model.tokenizer.convert_ids_to_tokens(model.end_ids) == [EOS, IM_END]
    assert model.short_name == f"{chat_folder.parent.name}/model"  # pytest numbers the folders
    assert model.new_tokens(Sampling()) == WINDOW // 2
    assert said_by(model)
    assert load_chat_model(settings_of(chat_folder, "--window", 100)).window == 100


def test_an_adapter_brings_its_base_model(chat_folder, chat_model, tmp_path):  # noqa: F811
    base = load_chat_model(settings_of(chat_folder))
    adapted = peft.get_peft_model(base.model, peft.LoraConfig(r=4, target_modules=["q_proj", "down_proj"]))
    torch.manual_seed(1)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    adapted.peft_config["default"].base_model_name_or_path = str(chat_folder)
    adapted.save_pretrained(tmp_path / "adapter")
    loaded = load_chat_model(settings_of(tmp_path / "adapter"))  # the tokenizer is the base model's
    merged = adapted.merge_and_unload()
    ids = torch.tensor([loaded.prompt_ids([{"role": "user", "content": "あ"}])])
    torch.testing.assert_close(loaded.model(ids).logits, merged(ids).logits, rtol=1e-4, atol=1e-4)
    assert said_by(loaded) != said_by(chat_model)

    weights = tmp_path / "adapter" / "adapter_model.safetensors"
    weights.rename(weights.with_name("adapter_model.bin"))
    with pytest.raises(InputError, match=r"adapter_model\.safetensors"):
        load_chat_model(settings_of(tmp_path / "adapter"))


def test_a_gguf_file_says_what_the_folder_says(chat_model, tmp_path):  # noqa: F811
    pytest.importorskip("gguf", reason="gguf is not installed: pip install nec13b[gguf]")
    write_gguf(chat_model.model, chat_model.tokenizer, tmp_path / "tiny.gguf")
    for words in ([tmp_path / "tiny.gguf"], [tmp_path, "--gguf_file", "tiny.gguf"]):
        loaded = load_chat_model(settings_of(*words, "--chatml"))
        assert said_by(loaded) == said_by(chat_model)


def test_without_a_template_it_says_what_to_do(chat_folder, tmp_path):  # noqa: F811
    base = shutil.copytree(chat_folder, tmp_path / "base")
    (base / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match=r"recipes/chat_tune\.py makes one a chat model; --chatml takes"):
        load_chat_model(settings_of(base))
    assert said_by(load_chat_model(settings_of(base, "--chatml"))) == said_by(load_chat_model(settings_of(chat_folder)))


def test_chatml_needs_its_tokens(chat_folder, tmp_path):  # noqa: F811
    folder = shutil.copytree(chat_folder, tmp_path / "other")
    words = Tokenizer(models.WordLevel({"a": 0, "<eos>": 1, "?": 2}, unk_token="?"))
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<eos>").save_pretrained(folder)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match=r"--chatml needs <\|im_start\|> and <\|im_end\|>"):
        load_chat_model(settings_of(folder, "--chatml"))
    with pytest.raises(InputError, match=r"makes one a chat model$"):
        load_chat_model(settings_of(folder))


@pytest.mark.parametrize("damage", ["missing", "no such name", "cut in half", "pickle", "no window", "small window"])
def test_what_cannot_be_loaded_is_said_in_one_line(chat_folder, tmp_path, damage):  # noqa: F811
    folder = shutil.copytree(chat_folder, tmp_path / "model")
    weights, words = folder / "model.safetensors", [folder]
    if damage == "missing":
        words = [tmp_path / "nowhere"]
    elif damage == "no such name":
        words = ["nobody/nothing"]
    elif damage == "cut in half":
        weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    elif damage == "pickle":
        weights.unlink()
        torch.save({}, folder / "pytorch_model.bin")
    elif damage == "no window":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": None}))
    else:
        words += ["--window", WINDOW + 1]
    with pytest.raises(InputError) as error:
        load_chat_model(settings_of(*words))
    assert "\n" not in str(error.value)
    assert str(words[0]) in str(error.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    st.lists(st.sampled_from([*SPECIAL_TOKENS, "<|", "|>", "a", "\n", "assistant\n", "あ"]), max_size=8).map("".join)
)
def test_no_message_makes_a_special_token(chat_model, text):  # noqa: F811
    """With our template and with one that trusts its text."""
    messages = [
        {"role": "system", "content": text},
        {"role": "user", "content": text},
        {"role": "assistant", "content": text},
        {"role": "user", "content": text},
    ]
    tokenizer = chat_model.tokenizer
    ours = tokenizer.chat_template
    try:
        for template, first in ((ours, [BOS]), (CHATML, [])):
            tokenizer.chat_template = template
            tokens = tokenizer.convert_ids_to_tokens(chat_model.prompt_ids(messages))
            special = [token for token in tokens if token in SPECIAL_TOKENS]
            assert special == [*first, *[IM_START, IM_END] * 4, IM_START]
    finally:
        tokenizer.chat_template = ours


def test_a_template_that_refuses_is_quoted(chat_model, monkeypatch):  # noqa: F811
    refuses = "{{ raise_exception('System role not supported') }}"
    monkeypatch.setattr(chat_model.tokenizer, "chat_template", refuses)
    with pytest.raises(InputError, match="refuses the dialogue: System role not supported"):
        chat_model.prompt_ids([{"role": "user", "content": "a"}])


def test_flash_attention_is_not_promised_on_a_cpu(chat_folder):  # noqa: F811
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    wanted = dataclasses.replace(ChatSettings(), attn_implementation="flash_attention_2")
    object.__setattr__(wanted, "checkpoint", str(chat_folder))
    with pytest.raises(InputError, match="needs a GPU; auto takes it"):
        load_chat_model(wanted)
    assert load_chat_model(settings_of(chat_folder)).model.config._attn_implementation == "sdpa"
