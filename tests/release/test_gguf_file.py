"""A GGUF file says in llama.cpp what the model says here, inside the old window and beyond it, and cuts text alike."""

import json
import urllib.request
from itertools import islice

import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from nec13b import Nec13bConfig, Nec13bForCausalLM
from nec13b.corpus.sample import sample_documents
from nec13b.errors import InputError
from nec13b.release.gguf_file import write_gguf
from nec13b.tokenization.bpe import FIRST_TOKENS

INTERPOLATED = {
    "rope_type": "interpolation", "rope_theta": 10000.0, "method": "by_parts", "factor": 4.0,
    "original_max_position_embeddings": 128, "attention_temperature": 0.8,
}  # fmt: skip


CLOSE = 5e-3  # llama.cpp keeps keys and values in fp16


def small_model(tokenizer, **changes) -> Nec13bForCausalLM:
    torch.manual_seed(0)
    ids = tokenizer.tokenizer
    config = Nec13bConfig(
        vocab_size=tokenizer.padded_vocab_size, hidden_size=64, intermediate_size=160, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=512, pad_token_id=ids.pad_token_id,
        bos_token_id=ids.bos_token_id, eos_token_id=ids.eos_token_id, **changes,
    )  # fmt: skip
    model = Nec13bForCausalLM(config).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data *= 3  # weights as small as the initial ones would hide a wrong frequency
    return model


class LlamaCpp:
    """llama.cpp's server on a file, in this process."""

    def __init__(self, path):
        xllamacpp = pytest.importorskip("xllamacpp", reason="llama.cpp is not installed: pip install nec13b[llama_cpp]")
        parameters = xllamacpp.CommonParams()
        parameters.model.path, parameters.n_ctx, parameters.warmup = str(path), 512, False
        parameters.cpuparams.n_threads = 1
        self.server = xllamacpp.Server(parameters)

    def log_probabilities(self, ids: list[int]) -> dict[int, float]:
        """The ten likeliest next tokens, where the likeliest is a whole character and no end."""
        answer = self._post("completion", prompt=ids, n_predict=1, n_probs=10, ignore_eos=True)
        return {one["id"]: one["logprob"] for one in answer["completion_probabilities"][0]["top_logprobs"]}

    def greedy(self, ids: list[int], tokens: int) -> str:
        """What it writes."""
        return self._post("completion", prompt=ids, n_predict=tokens)["content"]

    def tokenize(self, text: str) -> list[int]:
        """Its tokens of a text."""
        return self._post("tokenize", content=text, add_special=False, parse_special=False)["tokens"]

    def _post(self, path: str, **body) -> dict:
        data = json.dumps({"temperature": 0.0, "cache_prompt": False, **body}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.server.listening_address}/{path}", data, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def written(tokenizer, tmp_path_factory):
    """An interpolated model and llama.cpp on its file."""
    model = small_model(tokenizer, rope_parameters=INTERPOLATED)
    path = write_gguf(model, tokenizer.tokenizer, tmp_path_factory.mktemp("gguf") / "model.gguf")
    return model, LlamaCpp(path)


@pytest.mark.parametrize("length", [20, 100, 400])
def test_llama_cpp_gives_the_models_probabilities(written, length):
    model, llama_cpp = written
    ids = torch.randint(300, 1000, (1, length), generator=torch.Generator().manual_seed(length))
    ours = torch.log_softmax(model(ids).logits[0, -1], -1)
    theirs = llama_cpp.log_probabilities(ids[0].tolist())
    assert len(theirs) == 10
    for token, value in theirs.items():
        assert value == pytest.approx(ours[token].item(), abs=CLOSE)


@pytest.mark.parametrize("changes", [{}, {"tie_word_embeddings": True}, {"head_dim": 48}])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_llama_cpp_runs_other_shapes_and_precisions(tokenizer, tmp_path, changes, dtype):
    model = small_model(tokenizer, **changes).to(dtype)
    llama_cpp = LlamaCpp(write_gguf(model, tokenizer.tokenizer, tmp_path / "model.gguf"))
    prompts = torch.randint(300, 1000, (20, 40), generator=torch.Generator().manual_seed(0))
    likeliest = model.float()(prompts).logits[:, -1].argmax(-1)
    ids = prompts[likeliest > len(FIRST_TOKENS)][:1]
    ours = torch.log_softmax(model(ids).logits[0, -1], -1)
    for token, value in llama_cpp.log_probabilities(ids[0].tolist()).items():
        assert value == pytest.approx(ours[token].item(), abs=CLOSE if dtype == torch.float32 else 0.1)


def test_it_writes_the_same_text(written, tokenizer):
    model, llama_cpp = written
    ids = tokenizer.tokenizer("昔、ある村に", return_tensors="pt")["input_ids"]
    output = model.generate(ids, max_new_tokens=20, do_sample=False)[0, ids.shape[1] :]
    expected = tokenizer.tokenizer.decode(output, skip_special_tokens=True)
    assert llama_cpp.greedy(ids[0].tolist(), 20).replace("\ufffd", "") == expected.replace("\ufffd", "")


def test_it_cuts_japanese_as_our_tokenizer_does(written, tokenizer):
    for document in islice(sample_documents("ja"), 40):
        text = document.text[:3000]
        assert written[1].tokenize(text) == tokenizer.tokenizer(text, add_special_tokens=False)["input_ids"]


def test_transformers_reads_the_file_back(tokenizer, tmp_path):
    model = small_model(tokenizer)
    write_gguf(model, tokenizer.tokenizer, tmp_path / "model.gguf")
    read = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="model.gguf").eval()
    ids = torch.arange(300, 340)[None]
    torch.testing.assert_close(read(ids).logits, model(ids).logits, rtol=0, atol=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["model.gguf"]


def test_what_llama_cpp_has_no_form_for_is_refused(tokenizer, tmp_path):
    with pytest.raises(InputError, match="log_length_attention"):
        write_gguf(
            small_model(tokenizer, rope_parameters={**INTERPOLATED, "log_length_attention": True}),
            tokenizer.tokenizer,
            tmp_path / "model.gguf",
        )
    other = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()))
    with pytest.raises(InputError, match="only a tokenizer of this project"):
        write_gguf(small_model(tokenizer), other, tmp_path / "model.gguf")
    assert not list(tmp_path.iterdir())
