"""A model on this machine answers in batches: each gets the reply it would get alone, and no reply is lost."""

import asyncio
import sys
import types

import pytest
import torch
from transformers import AutoTokenizer

from nec13b import Nec13bConfig, Nec13bForCausalLM
from nec13b.chat_tuning.answers import SeededDraw
from nec13b.errors import InputError
from nec13b.generation.batch_generator import BatchGenerator, replies_of, transformers_generator, vllm_generator
from nec13b.generation.generator import Completion, GenerationFailed, Sampling
from nec13b.generation.generator_settings import GeneratorSettings


def asking(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


@pytest.fixture(scope="module")
def chat_model(tokenizer, tmp_path_factory):
    """(folder, model, tokenizer) of a small model that has learnt nothing."""
    torch.manual_seed(0)
    config = Nec13bConfig(
        vocab_size=len(tokenizer.tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=96, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    model = Nec13bForCausalLM(config).eval()
    folder = tmp_path_factory.mktemp("chat") / "model"
    model.save_pretrained(folder)
    tokenizer.tokenizer.save_pretrained(folder)
    return folder, model, AutoTokenizer.from_pretrained(folder)


def test_a_batch_gives_what_each_dialogue_gives_alone(chat_model):
    _, model, tokenizer = chat_model
    batch = [asking("やあ"), asking("長い質問です。" * 4), asking("Hello there")]
    greedy = Sampling(12, temperature=0)
    together = replies_of(model, tokenizer, batch, greedy)
    assert together == [replies_of(model, tokenizer, [messages], greedy)[0] for messages in batch]
    assert all(reply.completion_tokens == 12 and reply.finish_reason == "length" for reply in together)
    assert len({reply.prompt_tokens for reply in together}) == 3


def test_a_reply_with_a_seed_does_not_depend_on_the_others_of_its_batch(chat_model):
    _, model, tokenizer = chat_model
    batch = [asking("やあ"), asking("長い質問です。" * 4), asking("Hello there"), asking("やあ")]
    drawn, seeds = Sampling(16, temperature=1.2, top_p=0.9), [5, 6, 7, 8]
    together = replies_of(model, tokenizer, batch, drawn, seeds)
    torch.manual_seed(99)  # what else draws by torch's generator does not matter
    assert together == [replies_of(model, tokenizer, [one], drawn, [seed])[0] for one, seed in zip(batch, seeds)]
    assert together[0].text != together[3].text


def test_draws_by_seed_follow_the_distribution():
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0, -9.0]).log_softmax(0)
    draw = SeededDraw([3], torch.device("cpu"), temperature=2.0, top_p=0.9)
    drawn = torch.stack([draw(None, logits[None])[0].argmax() for _ in range(4_000)])
    shares = torch.bincount(drawn, minlength=5) / 4_000
    wanted = (logits / 2).softmax(0)[:4]  # the last lies beyond top_p
    assert torch.allclose(shares[:4], wanted / wanted.sum(), atol=0.03)
    assert shares[4] == 0


def test_a_reply_ends_where_the_turn_ends_and_special_tokens_in_it_are_seen(chat_model, monkeypatch):
    _, model, tokenizer = chat_model
    ids = tokenizer("はい<|im_start|>また<|im_end|>余分", add_special_tokens=False)["input_ids"]

    def generate(input_ids, **_):
        return torch.cat([input_ids, torch.tensor([ids] * len(input_ids))], dim=1)

    monkeypatch.setattr(model, "generate", generate)
    [reply] = replies_of(model, tokenizer, [asking("やあ")], Sampling(30))
    assert "<|im_start|>" in reply.text
    assert "余分" not in reply.text
    assert reply.finish_reason == "stop"


def test_what_does_not_fit_in_the_window_fails_alone(chat_model):
    _, model, tokenizer = chat_model
    replies = replies_of(model, tokenizer, [asking("あ" * 300), asking("やあ")], Sampling(500, temperature=0))
    assert isinstance(replies[0], GenerationFailed)
    assert replies[0].reason == "prompt_too_long"
    assert replies[1].prompt_tokens + replies[1].completion_tokens <= 96


def test_requests_are_gathered_by_their_sampling():
    seen = []

    def generate(batch, sampling, seeds):
        seen.append((len(batch), sampling.max_new_tokens))
        return [
            GenerationFailed("prompt_too_long") if m[0]["content"] == "3" else Completion(m[0]["content"], "stop")
            for m in batch
        ]

    async def run():
        generator = BatchGenerator("x", generate, 4)
        requests = [generator.complete(asking(str(n)), Sampling(1 + n % 2)) for n in range(10)]
        replies = await asyncio.gather(*requests, return_exceptions=True)
        await generator.close()
        return replies

    replies = asyncio.run(run())
    assert [reply.text for n, reply in enumerate(replies) if n != 3] == [str(n) for n in range(10) if n != 3]
    assert replies[3].reason == "prompt_too_long"
    assert sorted(seen) == [(1, 1), (1, 2), (4, 1), (4, 2)]


def test_an_error_of_the_model_reaches_all_who_wait():
    def generate(batch, sampling, seeds):
        raise InputError("out of memory; lower batch_size")

    async def run():
        generator = BatchGenerator("x", generate, 4)
        return await asyncio.gather(
            *(generator.complete(asking("a"), Sampling(1)) for _ in range(6)), return_exceptions=True
        )

    assert [type(error) for error in asyncio.run(run())] == [InputError] * 6


def test_a_checkpoint_is_loaded_and_answers(chat_model):
    folder, *_ = chat_model
    generator = transformers_generator(GeneratorSettings(model=str(folder), batch_size=2), seed=1)

    async def run():
        reply = await generator.complete(asking("やあ"), Sampling(5, temperature=0.7, top_p=0.9))
        await generator.close()
        return reply

    assert asyncio.run(run()).completion_tokens == 5


def test_models_that_cannot_be_used_are_refused_in_one_line(chat_model, tmp_path):
    with pytest.raises(InputError, match=r"chat_tune\.py makes one") as error:
        transformers_generator(GeneratorSettings(model=str(tmp_path / "nowhere")), 1)
    assert "\n" not in str(error.value)
    _, model, _ = chat_model
    model.save_pretrained(tmp_path / "plain")
    plain = AutoTokenizer.from_pretrained(chat_model[0])
    plain.chat_template = None
    plain.save_pretrained(tmp_path / "plain")
    (tmp_path / "plain" / "chat_template.jinja").unlink(missing_ok=True)
    with pytest.raises(InputError, match="no chat template"):
        transformers_generator(GeneratorSettings(model=str(tmp_path / "plain")), 1)


def test_vllm_is_asked_as_its_interface_wants(monkeypatch):
    """Against a stand-in with vLLM's names: the real one needs a GPU."""
    asked = []

    class Engine:
        def __init__(self, **settings):
            self.settings = settings

        def chat(self, batch, params, use_tqdm):
            asked.append((len(batch), [(each.max_tokens, each.seed) for each in params]))
            if any(len(messages[0]["content"]) > 10 for messages in batch):
                raise ValueError("the prompt is longer than the maximum model length")
            output = types.SimpleNamespace(text="はい", finish_reason="stop", token_ids=[1, 2])
            return [types.SimpleNamespace(outputs=[output], prompt_token_ids=[1, 2, 3]) for _ in batch]

    module = types.SimpleNamespace(LLM=Engine, SamplingParams=lambda **values: types.SimpleNamespace(**values))
    monkeypatch.setitem(sys.modules, "vllm", module)

    async def run():
        generator = vllm_generator(GeneratorSettings(generator="vllm", model="m"), 1)
        requests = (
            generator.complete(asking(text), Sampling(7), seed)
            for seed, text in enumerate(("短い", "とても長い質問がここにあります"))
        )
        return await asyncio.gather(*requests, return_exceptions=True)

    good, bad = asyncio.run(run())
    assert good == Completion("はい", "stop", 3, 2)
    assert bad.reason == "bad_request"
    assert asked == [(2, [(7, 0), (7, 1)]), (1, [(7, 0)]), (1, [(7, 1)])]
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(InputError, match="--generator endpoint"):
        vllm_generator(GeneratorSettings(generator="vllm", model="m"), 1)


@pytest.mark.slow
def test_a_real_chat_model_answers(smollm2):
    generator = transformers_generator(GeneratorSettings(model=str(smollm2)), 1)
    reply = asyncio.run(generator.complete(asking("What is the capital of France?"), Sampling(24, temperature=0)))
    assert "Paris" in reply.text
