"""How fast answers are generated in batches: Nec13bForCausalLM against LlamaForCausalLM with the same weights.

python benchmarks/generation_speed.py             writes its section into benchmarks/RESULTS.md
python benchmarks/generation_speed.py --quick     a small model, few repeats, writes nothing

Both generate by `generate`, the likeliest token each time, with a cache, from the same prompts to the same number of
new tokens; the tokens are compared. The two take turns, and who is first changes each time, so that a busy machine
disturbs both alike. Each round gives one ratio of the two; the table has the median over rounds, with the quartiles.
Both are also measured with interpolated frequencies, which Llama has as `longrope` factors. On a GPU: --dtype bfloat16.
"""

import argparse
import statistics
import time
from dataclasses import dataclass

import torch
from results import machine, table, write_section
from transformers import LlamaForCausalLM, PreTrainedModel

from nec13b.configuration_nec13b import Nec13bConfig
from nec13b.llama_conversion import llama_from_nec13b
from nec13b.modeling_nec13b import Nec13bForCausalLM

TITLE = "Generation: batches, against LlamaForCausalLM"
VOCABULARY = 50_176
# hidden, feed-forward, layers, heads
SHAPES = {"256 x 6": (256, 704, 6, 4), "512 x 8": (512, 1408, 8, 8)}
QUICK_SHAPE = "64 x 2"
INTERPOLATED = {
    "rope_type": "interpolation", "rope_theta": 10000.0, "method": "by_parts", "factor": 4.0,
    "original_max_position_embeddings": 512,
}  # fmt: skip
WINDOW = 2048


@dataclass(frozen=True)
class Case:
    """One line of the table: sequences at once, tokens of each prompt, new tokens."""

    batch: int
    prompt: int
    answer: int


CASES = [Case(batch, prompt, answer) for prompt, answer in ((32, 64), (512, 64), (32, 256)) for batch in (1, 4, 16)]
QUICK_CASES = [Case(1, 16, 8), Case(4, 16, 8), Case(4, 64, 8)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", default="512 x 8", choices=SHAPES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if arguments.rounds < 2:
        parser.error("--rounds must be at least 2: a spread takes two")
    torch.set_num_threads(arguments.threads)
    shape = QUICK_SHAPE if arguments.quick else arguments.shape
    cases, rounds = (QUICK_CASES, 3) if arguments.quick else (CASES, arguments.rounds)
    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    rows = []
    for frequencies, rope in (("plain", None), ("interpolated", INTERPOLATED)):
        ours = model_of(shape, rope).to(device, getattr(torch, arguments.dtype))
        theirs = llama_from_nec13b(ours).eval()
        for case in cases if frequencies == "plain" else cases[:: len(cases) - 1]:  # the first and the last of them
            rows.append([frequencies, *row_of(case, *measured(ours, theirs, case, rounds))])
            print(*rows[-1], flush=True)
    head = ["frequencies", "batch", "prompt", "new tokens", "nec13b, tokens/s", "Llama, tokens/s",
            "nec13b / Llama", "quartiles", "same tokens"]  # fmt: skip
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"{machine()}, {arguments.threads} threads"
    body = (
        f"`python benchmarks/generation_speed.py --shape \"{shape}\" --rounds {rounds} --dtype {arguments.dtype}` on "
        f"{where}; {number_of(ours):,} parameters, vocabulary {VOCABULARY:,}, {arguments.dtype}, "
        f"{ours.config._attn_implementation} attention, transformers' `generate` with its cache. Tokens/s are new "
        f"tokens of all sequences, the time of reading the prompts included: median of {rounds} rounds. The ratio is "
        "taken round by round; above 1 nec13b is faster. `same tokens`: share of new tokens on which both agree.\n\n"
    )  # fmt: skip
    if arguments.quick:
        print("", body + table(head, rows), sep="\n")
    else:
        write_section(TITLE, body + table(head, rows))


def model_of(shape: str, rope: dict | None) -> Nec13bForCausalLM:
    """A model of random weights, the same ones each time."""
    hidden, feed_forward, layers, heads = SHAPES.get(shape, (64, 128, 2, 2))
    torch.manual_seed(0)
    config = Nec13bConfig(
        vocab_size=VOCABULARY, hidden_size=hidden, intermediate_size=feed_forward, num_hidden_layers=layers,
        num_attention_heads=heads, max_position_embeddings=WINDOW, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        **({"rope_parameters": rope} if rope else {}),
    )  # fmt: skip
    return Nec13bForCausalLM(config).eval()


def number_of(model: PreTrainedModel) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def measured(
    ours: Nec13bForCausalLM, theirs: LlamaForCausalLM, case: Case, rounds: int
) -> tuple[list[float], list[float], float]:
    """Seconds of each round for both, and the share of new tokens on which they agree."""
    generator = torch.Generator().manual_seed(case.prompt)
    ids = torch.randint(3, VOCABULARY, (case.batch, case.prompt), generator=generator).to(ours.device)
    written = [generated(model, ids, case.answer)[1] for model in (ours, theirs)]  # to warm up, too
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        turns = [(ours, seconds[0]), (theirs, seconds[1])]
        for model, taken in turns if number % 2 else reversed(turns):
            taken.append(generated(model, ids, case.answer)[0])
    return *seconds, (written[0] == written[1]).float().mean().item()


@torch.inference_mode()
def generated(model: PreTrainedModel, ids: torch.Tensor, answer: int) -> tuple[float, torch.Tensor]:
    """Seconds for exactly `answer` new tokens a sequence, and those tokens, shape (sequences, answer)."""
    synchronise(model.device)
    start = time.perf_counter()
    output = model.generate(
        ids, attention_mask=torch.ones_like(ids), min_new_tokens=answer, max_new_tokens=answer, do_sample=False
    )
    synchronise(model.device)
    return time.perf_counter() - start, output[:, ids.shape[1] :]


def synchronise(device: torch.device) -> None:
    """Waits for the accelerator, where there is one."""
    if device.type != "cpu":
        torch.accelerator.synchronize()


def row_of(case: Case, ours: list[float], theirs: list[float], agreeing: float) -> list[str]:
    """A line of the table."""
    tokens = case.batch * case.answer
    low, middle, high = statistics.quantiles([b / a for a, b in zip(ours, theirs, strict=True)], n=4)
    return [
        f"{case.batch}", f"{case.prompt}", f"{case.answer}", f"{tokens / statistics.median(ours):,.0f}",
        f"{tokens / statistics.median(theirs):,.0f}", f"{middle:.3f}", f"{low:.3f} to {high:.3f}", f"{agreeing:.1%}",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
