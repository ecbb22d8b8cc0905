"""What docs/serving.md says: a served model answers in ChatML as the model does here, and stops where it stops."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from nec13b import Nec13bConfig, Nec13bForCausalLM
from nec13b.release.export_config import ExportConfig
from nec13b.release.exporting import export

QUESTION, ANSWER = "川はどこを流れますか。", "山から海へ流れます。"
MESSAGES = [{"role": "user", "content": QUESTION}]
TOKENS = 60  # many more than the answer has
PLAIN = """
import sys
sys.modules["nec13b"] = None  # as where it is not installed
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, question = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder)
messages = [{"role": "user", "content": question}]
inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
output = model.generate(**inputs, max_new_tokens=60, do_sample=False)[0, inputs["input_ids"].shape[1] :]
print(ascii([tokenizer.decode(output, skip_special_tokens=True), tokenizer.decode(output[-1])]))
"""


@pytest.fixture(scope="module")
def exported(tokenizer, tmp_path_factory) -> Path:
    """A model that has learned one answer by heart, exported as Llama and as GGUF."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("served")
    ids = AutoTokenizer.from_pretrained(tokenizer.path)
    ids.eos_token = "<|im_end|>"  # as chat tuning leaves it
    config = Nec13bConfig(
        vocab_size=tokenizer.padded_vocab_size, hidden_size=64, intermediate_size=160, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=256, pad_token_id=ids.pad_token_id,
        bos_token_id=ids.bos_token_id, eos_token_id=ids.eos_token_id,
    )  # fmt: skip
    model = Nec13bForCausalLM(config)
    learned = [*MESSAGES, {"role": "assistant", "content": ANSWER}]
    row = ids.apply_chat_template(learned, return_tensors="pt", return_dict=True)["input_ids"]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(200):
        loss = model(input_ids=row, labels=row).loss
        if loss < 0.005:
            break
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss < 0.05
    model.save_pretrained(folder / "model")
    ids.save_pretrained(folder / "model")
    export(ExportConfig(str(folder / "model"), str(folder / "out"), forms=["llama", "gguf"]))
    return folder / "out"


def ask(address: str, messages: list[dict], model: str = "nec13b") -> dict:
    """The first choice of an OpenAI-compatible server."""
    body = {"model": model, "messages": messages, "temperature": 0.0, "max_tokens": TOKENS}
    request = urllib.request.Request(
        f"{address}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)["choices"][0]


@torch.inference_mode()
def answer_here(exported: Path, messages: list[dict]) -> str:
    """What the exported model answers, by the likeliest token each time."""
    tokenizer, model = (kind.from_pretrained(exported / "llama") for kind in (AutoTokenizer, AutoModelForCausalLM))
    inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    output = model.generate(**inputs, max_new_tokens=TOKENS, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    return tokenizer.decode(output, skip_special_tokens=True)


def test_plain_transformers_answers_and_stops_without_this_project(exported):
    command = [sys.executable, "-c", PLAIN, str(exported / "llama"), QUESTION]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == ascii([ANSWER, "<|im_end|>"])


def test_llama_cpps_server_answers_as_the_model_and_stops(exported):
    xllamacpp = pytest.importorskip("xllamacpp", reason="llama.cpp is not installed: pip install nec13b[llama_cpp]")
    parameters = xllamacpp.CommonParams()
    parameters.model.path, parameters.n_ctx, parameters.warmup = str(exported / "gguf" / "model.gguf"), 256, False
    parameters.cpuparams.n_threads, parameters.use_jinja = 1, True  # --jinja, which llama-server takes by itself
    server = xllamacpp.Server(parameters)
    found = ask(server.listening_address, MESSAGES)
    assert found["message"]["content"] == ANSWER
    assert found["finish_reason"] == "stop"
    # A dialogue that it has not learned by heart, with a system message: the same template, the same words.
    other = [{"role": "system", "content": "短く答える。"}, *MESSAGES]
    found = ask(server.listening_address, other)
    assert found["message"]["content"].strip() == answer_here(exported, other).strip()


@pytest.mark.slow
def test_transformers_own_server_answers_and_stops(exported):
    pytest.importorskip("fastapi", reason="transformers serve needs transformers[serving]")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(exported / "llama"),
               "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address, until = f"http://127.0.0.1:{port}", time.monotonic() + 240
        while True:
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=5):
                    break
            except (urllib.error.URLError, OSError):
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.5)
        found = ask(address, MESSAGES, str(exported / "llama"))
        assert found["message"]["content"] == ANSWER
        assert found["finish_reason"] == "stop"
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_an_interpolation_is_scaled_in_vllm_as_it_was_trained(tokenizer, tmp_path):
    """vLLM takes the scaling of a `longrope` from `short_mscale` and `long_mscale` alone."""
    rope = {"rope_type": "interpolation", "rope_theta": 10000.0, "method": "by_parts", "factor": 4.0,
            "original_max_position_embeddings": 64, "attention_temperature": 0.8}  # fmt: skip
    config = Nec13bConfig(vocab_size=1024, hidden_size=32, intermediate_size=64, num_hidden_layers=1,
                          num_attention_heads=2, max_position_embeddings=256, rope_parameters=rope)  # fmt: skip
    Nec13bForCausalLM(config).save_pretrained(tmp_path / "model")
    tokenizer.tokenizer.save_pretrained(tmp_path / "model")
    export(ExportConfig(str(tmp_path / "model"), str(tmp_path / "out")))
    written = json.loads((tmp_path / "out" / "llama" / "config.json").read_text())["rope_parameters"]
    assert written["attention_factor"] == pytest.approx(0.8**-0.5)
    assert written["short_mscale"] == written["long_mscale"] == written["attention_factor"]
    assert written["short_factor"] == written["long_factor"]
