"""The model is Llama under its own name, loads with and without the package, and has the paper's size."""

import json
import subprocess
import sys

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from nec13b import Nec13bConfig, Nec13bForCausalLM, Nec13bModel
from nec13b.errors import InputError
from nec13b.llama_conversion import llama_from_nec13b, load_as_nec13b, nec13b_from_llama

SMALL = dict(vocab_size=256, hidden_size=64, intermediate_size=160, num_hidden_layers=3, num_attention_heads=4)
IDS = torch.arange(2 * 40).reshape(2, 40) % 256


def small_llama(**changes) -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**{**SMALL, **changes})).eval()


def test_the_default_configuration_is_the_papers_model():
    config = Nec13bConfig()
    shape = (config.num_hidden_layers, config.hidden_size, config.num_attention_heads, config.intermediate_size)
    assert shape == (40, 5120, 40, 13824)
    assert config.max_position_embeddings == 2048
    with torch.device("meta"):
        model = Nec13bForCausalLM(config)
    assert all(parameter.is_meta for parameter in model.parameters())
    assert model.num_parameters() == 13_201_986_560


@pytest.mark.parametrize("changes", [{}, {"num_key_value_heads": 2}, {"tie_word_embeddings": True}, {"head_dim": 32}])
def test_same_weights_give_llamas_logits_bit_for_bit(changes):
    llama = small_llama(**changes)
    ours = nec13b_from_llama(llama)
    assert type(ours) is Nec13bForCausalLM
    assert type(ours.model) is Nec13bModel
    assert torch.equal(ours(IDS).logits, llama(IDS).logits)
    back = llama_from_nec13b(ours)
    assert type(back) is LlamaForCausalLM
    assert torch.equal(back(IDS).logits, llama(IDS).logits)


def test_the_same_seed_gives_llamas_initial_weights():
    torch.manual_seed(0)
    ours = Nec13bForCausalLM(Nec13bConfig(**SMALL, pad_token_id=None)).state_dict()
    llamas = small_llama().state_dict()
    assert list(ours) == list(llamas)
    assert all(torch.equal(ours[name], llamas[name]) for name in ours)


def test_llamas_parallel_plans_are_inherited():
    config = Nec13bConfig(**SMALL)
    assert config.base_model_tp_plan == LlamaConfig.base_model_tp_plan
    assert config.base_model_pp_plan == LlamaConfig.base_model_pp_plan
    assert Nec13bForCausalLM._tp_plan == LlamaForCausalLM._tp_plan
    assert Nec13bForCausalLM._no_split_modules == LlamaForCausalLM._no_split_modules


def test_cached_generation_equals_generation_without_cache():
    model = nec13b_from_llama(small_llama())
    options = dict(max_new_tokens=12, do_sample=False, eos_token_id=None, pad_token_id=0)
    cached = model.generate(IDS[:1, :8], use_cache=True, **options)
    assert torch.equal(cached, model.generate(IDS[:1, :8], use_cache=False, **options))


def test_auto_classes_load_what_save_pretrained_wrote(tmp_path):
    model = Nec13bForCausalLM(Nec13bConfig(**SMALL, num_key_value_heads=2)).eval()
    model.save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["model.safetensors"]
    assert type(AutoConfig.from_pretrained(tmp_path)) is Nec13bConfig
    assert type(AutoModel.from_pretrained(tmp_path)) is Nec13bModel
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert type(loaded) is Nec13bForCausalLM
    assert torch.equal(loaded(IDS).logits, model(IDS).logits)


WITHOUT_THE_PACKAGE = """
import json, sys
sys.modules["nec13b"] = None  # importing it fails, as where it is not installed
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, text = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True).eval()
ids = tokenizer(text, return_tensors="pt")
print(json.dumps({
    "class": type(model).__module__ + "." + type(model).__name__,
    "ids": ids["input_ids"].tolist(),
    "text": tokenizer.decode(ids["input_ids"][0]),
    "logits": model(**ids).logits[0, -1].tolist(),
}))
"""


@pytest.mark.parametrize(
    "rope_parameters",
    [
        None,
        {
            "rope_type": "interpolation",
            "rope_theta": 10000.0,
            "method": "by_parts",
            "factor": 4.0,
            "original_max_position_embeddings": 64,
            "attention_temperature": 0.9,
            "log_length_attention": True,
        },
    ],
)
def test_trust_remote_code_loads_it_where_nec13b_is_not_installed(tmp_path, tokenizer, rope_parameters):
    torch.manual_seed(1)
    config = Nec13bConfig(**{**SMALL, "vocab_size": tokenizer.padded_vocab_size}, rope_parameters=rope_parameters)
    model = Nec13bForCausalLM(config).eval()
    model.save_pretrained(tmp_path)
    tokenizer.tokenizer.save_pretrained(tmp_path)
    text = "山の上に小さな駅があった。 def f(x): return x"
    command = [sys.executable, "-I", "-c", WITHOUT_THE_PACKAGE, str(tmp_path), text]
    seen = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)
    ids = tokenizer.tokenizer(text, return_tensors="pt")
    assert seen["class"].startswith("transformers_modules.")
    assert seen["ids"] == ids["input_ids"].tolist()
    assert seen["text"] == "<|begin_of_text|>" + text
    assert seen["logits"] == model(**ids).logits[0, -1].tolist()


@pytest.mark.parametrize(
    "how",
    [
        {"method": "by_parts", "attention_temperature": 0.8},
        {"method": "ntk"},
        {"method": "factors", "factors": [1.0, 1.0, 1.1, 1.3, 2.0, 3.0, 4.0, 4.5]},
    ],
)
def test_interpolated_rope_becomes_longrope_of_a_plain_llama(tmp_path, how):
    """transformers' own class, loaded from disk, gives our logits, within the old window and beyond it."""
    rope = {"rope_type": "interpolation", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 16}
    ours = Nec13bForCausalLM(Nec13bConfig(**SMALL, rope_parameters=rope | how)).eval()
    llama_from_nec13b(ours).save_pretrained(tmp_path)
    llama = LlamaForCausalLM.from_pretrained(tmp_path).eval()
    assert llama.config.rope_parameters["rope_type"] == "longrope"
    for length in (10, 40):
        torch.testing.assert_close(llama(IDS[:, :length]).logits, ours(IDS[:, :length]).logits, rtol=0, atol=1e-6)


def test_attention_by_length_has_no_place_in_a_plain_llama():
    rope = {"rope_type": "interpolation", "rope_theta": 10000.0, "method": "none", "log_length_attention": True,
            "original_max_position_embeddings": 16}  # fmt: skip
    with pytest.raises(InputError, match="log_length_attention"):
        llama_from_nec13b(Nec13bForCausalLM(Nec13bConfig(**SMALL, rope_parameters=rope)))


@pytest.mark.slow
def test_a_real_llama_checkpoint_generates_sensible_text(smollm2):
    """The folder was written by load_as_nec13b."""
    model = AutoModelForCausalLM.from_pretrained(smollm2)
    assert type(model) is Nec13bForCausalLM
    assert (model.config.num_hidden_layers, model.config.num_key_value_heads) == (30, 3)
    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    prompt = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    ids = tokenizer(prompt, return_tensors="pt")
    output = model.generate(**ids, max_new_tokens=12, do_sample=False)
    assert "Paris" in tokenizer.decode(output[0, ids["input_ids"].shape[1] :])


@pytest.mark.parametrize("damage", ["missing", "other architecture", "cut in half"])
def test_a_checkpoint_that_cannot_be_used_is_refused_in_one_line(tmp_path, damage):
    small_llama().save_pretrained(tmp_path)
    if damage == "missing":
        tmp_path = tmp_path / "nowhere"
    elif damage == "other architecture":
        (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    else:
        weights = tmp_path / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    with pytest.raises(InputError) as error:
        load_as_nec13b(tmp_path)
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)
