"""Entries of models say what is theirs, take the rest from the settings, and never give the same answers twice."""

import json

import pytest

from nec13b.candidates.model_entry import fingerprint_of_model, parse_models
from nec13b.errors import InputError
from nec13b.generation.generator import Sampling
from nec13b.generation.generator_settings import GeneratorSettings, RunningSettings


def entries_of(*entries, **shared):
    return parse_models(list(entries), RunningSettings(**shared), Sampling(64, 0.8, 0.95), 13, 4)


def test_what_an_entry_does_not_say_comes_from_the_settings():
    plain, hot, served = entries_of(
        "runs/chat/model", "runs/chat/model,temperature=1.2,answers=2,seed=5", "big,generator=endpoint,label=b",
        batch_size=3,
    )  # fmt: skip
    assert (plain.sampling, plain.seed, plain.answers, plain.label) == (Sampling(64, 0.8, 0.95), 13, 4, "chat@0.8")
    assert (hot.sampling.temperature, hot.answers, hot.seed, hot.label) == (1.2, 2, 5, "chat@1.2")
    assert (served.settings.generator, served.settings.model, served.label) == ("endpoint", "big", "b")
    assert plain.settings.batch_size == 3


def test_a_gguf_file_and_a_mapping_are_entries_too():
    file, mapping = entries_of("some/small.gguf", json.dumps({"model": "a,b", "temperature": 0.1}))
    assert (file.settings.model, file.settings.gguf_file, file.label) == ("some", "small.gguf", "small.gguf@0.8")
    assert (mapping.settings.model, mapping.sampling.temperature) == ("a,b", 0.1)


def test_the_same_entry_twice_gives_other_answers():
    one, other = entries_of("m", "m")
    assert (one.sampling, one.seed) == (other.sampling, other.seed)
    assert one.label != other.label
    assert one.seed_of("prompt", 1) != other.seed_of("prompt", 1)
    seeds = {one.seed_of(prompt, number) for prompt in ("a", "b") for number in (1, 2)}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_without_temperature_there_is_one_answer():
    assert entries_of("m,temperature=0")[0].answers == 1


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("", "names no model"), (",temperature=1", "names no model"), ("m,heat=1", "known are temperature"),
        ("m,temperature=hot", "cannot be 'hot'"), ("m,temperature", "not option=value"),
        ("m,answers=0", "at least be 1"),
        ("m,temperature=-1", "must not be negative"), ("m,top_p=0", "top_p"), ('{"model": ', "not JSON"),
        ("m,generator=magic", "must be one of"), ("m,base_url=http://me:pass@host/v1", "must not hold"),
    ],
)  # fmt: skip
def test_mistakes_are_named(entry, said):
    with pytest.raises(InputError, match=said):
        entries_of(entry)


def test_a_model_that_was_trained_anew_has_another_fingerprint(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(bytes(5_000_000))
    settings = GeneratorSettings(model=str(tmp_path))
    before = fingerprint_of_model(settings)
    weights.write_bytes(bytes(4_999_999) + b"\x01")
    assert fingerprint_of_model(settings) != before
    assert fingerprint_of_model(GeneratorSettings(model="a-name-on-the-hub")) == ""
