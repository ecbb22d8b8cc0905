"""The whole plan: it agrees with its parts, what it suggests helps, and it says so in words."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.errors import InputError
from nec13b.pretraining import PretrainConfig
from nec13b.pretraining.gpus import GPUS
from nec13b.pretraining.layout import Layout
from nec13b.pretraining.memory_plan import PARTS, memory_plan
from nec13b.pretraining.model_shape import ModelShape
from nec13b.pretraining.plan import make_plan
from nec13b.pretraining.plan_page import Measured, compare_with_plan, plan_page, short_plan

EIGHT = Layout(1, 8, "fsdp", shard=8, mixed_precision="bf16")


@pytest.fixture(scope="module")
def config():
    """The paper's run, on one process; plans take the batch's division from their layout."""
    return PretrainConfig(output_dir="unused", per_device_train_batch_size=4, sequence_length=2048)


def test_parts_agree(config):
    plan = make_plan(config, EIGHT, "a100-80gb", mfu=0.45, price_per_gpu_hour=2.0)
    assert plan.work.accumulation == 64
    assert plan.work.accumulation * 4 * 8 * 2048 == config.tokens_per_batch
    assert plan.memory == memory_plan(plan.shape, plan.work, plan.layout)
    assert plan.price == pytest.approx(2 * plan.compute.gpu_hours)
    assert plan.communication.computing == plan.compute.seconds_per_step
    assert plan.compute.days * 24 * 8 == pytest.approx(plan.compute.gpu_hours)


def test_speed_that_was_measured_gives_the_mfu(config):
    plan = make_plan(config, EIGHT, "a100-80gb", tokens_per_second=1507)
    assert plan.compute.tokens_per_second == pytest.approx(8 * 1507)
    # Llama 2 13B ran at 42% with sequences twice as long; here attention is less of the work.
    assert plan.compute.mfu == pytest.approx(0.40, abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gpu": "abacus"}, "unknown gpu 'abacus'"),
        ({"mfu": 1.5}, "mfu must lie above 0"),
        ({"tokens_per_second": 1e9}, "mfu must lie above 0"),
        ({"layout": Layout(1, 7, "fsdp", shard=7)}, "not a multiple of"),
        ({"layout": Layout(1, 3, "fsdp", shard=1, tensor=3)}, "does not divide by tensor parallel size 3"),
    ],
)
def test_mistakes_are_one_line(config, arguments, message):
    with pytest.raises(InputError, match=message):
        make_plan(config, **({"layout": EIGHT, "gpu": "a100-80gb"} | arguments))


def test_what_does_not_fit_is_told_what_to_change(config):
    plan = make_plan(
        replace_in(config, bf16=False, loss_chunk_tokens=0, attn_implementation="eager"), EIGHT, "a100-80gb"
    )
    assert not plan.fits
    changes = [each.change.split(":")[0] for each in plan.suggestions]
    assert changes[:2] == ["attn_implementation", "loss_chunk_tokens"]
    totals = [plan.memory.peak.total, *(each.total for each in plan.suggestions)]
    assert totals == sorted(totals, reverse=True)
    assert [each.fits for each in plan.suggestions] == [*[False] * (len(plan.suggestions) - 1), True]
    page = plan_page(plan)
    assert "It does not fit" in page
    assert all(each.change in page for each in plan.suggestions)


def replace_in(config: PretrainConfig, **settings) -> PretrainConfig:
    """The same settings with some others; TrainingArguments does not like to be copied by its fields."""
    return PretrainConfig(
        output_dir="unused", per_device_train_batch_size=config.per_device_train_batch_size, **settings
    )


def test_the_first_suggestions_do_what_they_say(config):
    """What a suggestion promises is what the plan says once it is followed."""
    plan = make_plan(config, Layout(1, 8, "ddp", replicate=8, mixed_precision="bf16"), "a100-80gb")
    first = plan.suggestions[0]
    assert first.change == "FSDP over the 8 processes instead of ddp"
    assert make_plan(config, EIGHT, "a100-80gb").memory.peak.total == first.total


def test_a_model_that_no_change_makes_fit_is_told_so():
    config = PretrainConfig(output_dir="unused", hidden_size=65_536, num_attention_heads=512, sequence_length=8192,
                            intermediate_size=262_144, num_hidden_layers=200)  # fmt: skip
    plan = make_plan(config, Layout(mixed_precision="bf16"), "rtx4090")
    assert not plan.fits
    assert plan.largest_batch == 0
    assert "nothing here makes it fit a rtx4090" in plan_page(plan)


def test_the_largest_batch_fits_and_the_next_does_not(config):
    shape = ModelShape(num_hidden_layers=8, hidden_size=2048, num_attention_heads=16, intermediate_size=5504)
    plan = make_plan(config, EIGHT, "a100-80gb", shape=shape)
    assert plan.fits
    assert plan.largest_batch > 4
    per_process = config.tokens_per_batch // (8 * 2048)
    assert per_process % plan.largest_batch == 0
    totals = {}
    for sequences in (n for n in range(1, per_process + 1) if per_process % n == 0):
        work = replace(plan.work, sequences=sequences, accumulation=per_process // sequences)
        totals[sequences] = memory_plan(shape, work, plan.layout).peak.total
    assert plan.largest_batch == max(n for n, total in totals.items() if total <= plan.gpu.usable)


@settings(max_examples=25, deadline=None)
@given(
    gpu=st.sampled_from([name for name in GPUS if name != "cpu"]),
    strategy=st.sampled_from(["single", "ddp", "fsdp", "zero1", "zero2", "zero3"]),
    processes=st.sampled_from([2, 8, 64]),
    layers=st.integers(1, 60),
)
def test_every_plan_can_be_written_down(config, gpu, strategy, processes, layers):
    if strategy == "single":
        layout = Layout(mixed_precision="bf16")
    else:
        axis = {"replicate" if strategy == "ddp" else "shard": processes}
        layout = Layout(-(-processes // 8), processes, strategy, mixed_precision="bf16", **axis)
    plan = make_plan(config, layout, gpu, shape=ModelShape(num_hidden_layers=layers))
    assert plan.fits == (plan.memory.peak.total <= plan.gpu.usable)
    assert bool(plan.suggestions) <= (not plan.fits)
    page, short = plan_page(plan), short_plan(plan)
    assert max(map(len, page.splitlines())) <= 130
    assert 3 <= len(short) <= 6
    assert f"{plan.shape.parameters:,}" in page
    assert f"{plan.shape.parameters:,}" in short[0]
    stored = json.loads(json.dumps(plan.to_dict()))
    assert stored["memory"]["total"] == sum(stored["memory"]["moments"][i][part] for part in PARTS
                                            for i in [peak_index(stored)])  # fmt: skip
    assert stored["compute"]["days"] == plan.compute.days


def peak_index(stored: dict) -> int:
    names = [moment["name"] for moment in stored["memory"]["moments"]]
    return names.index(stored["memory"]["peak"])


def test_the_page_names_what_stands_in_the_plan(config):
    page = plan_page(
        make_plan(config, Layout(64, 512, "fsdp", shard=512, mixed_precision="bf16"), "a100-80gb", mfu=0.45)
    )
    for words in ("13,201,986,560 parameters", "64 x 8 a100-80gb (512)", "2,048 tokens x 4 sequences x 1 passes x 512",
                  "61,988, 259,996,516,352 tokens", "gather weights", "MFU of 45.0%"):  # fmt: skip
        assert words in page


def test_a_run_is_compared_with_its_plan(config):
    plan = make_plan(config, EIGHT, "a100-80gb", mfu=0.4)
    peak, rate = plan.memory.peak.total, plan.compute.tokens_per_second
    lines, numbers = compare_with_plan(plan, Measured(int(peak * 1.05), rate * 0.9))
    assert len(lines) == 2
    assert numbers["peak_ratio"] == pytest.approx(1.05, abs=1e-3)
    assert numbers["measured_mfu"] == pytest.approx(0.36)
    assert "+5%" in lines[0]
    assert "36%" in lines[1]
    assert compare_with_plan(plan, Measured(None, None)) == ([], {})
