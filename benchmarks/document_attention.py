"""What it costs on this machine to keep documents apart: a training pass with and without positions that start again.

python benchmarks/document_attention.py     writes its table into benchmarks/RESULTS.md

With sdpa, keeping documents apart replaces the built-in causal attention by a mask of (batch, 1, tokens, tokens). On
GPUs flash attention needs no mask, and does less work the shorter the documents are.
"""

import argparse
import time

import torch
from results import machine, table, write_section

from nec13b.configuration_nec13b import Nec13bConfig
from nec13b.modeling_nec13b import Nec13bForCausalLM

SHAPES = {"128 x 16": (128, 16), "512 x 4": (512, 4), "2048 x 1": (2048, 1)}
DOCUMENTS = 4  # in a sequence


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    torch.manual_seed(0)
    shape = Nec13bConfig(
        vocab_size=4096, hidden_size=192, intermediate_size=512, num_hidden_layers=4, num_attention_heads=6,
        max_position_embeddings=2048, use_cache=False,
    )  # fmt: skip
    model = Nec13bForCausalLM(shape)
    rows = []
    for name, (length, batch) in SHAPES.items():
        ids = torch.randint(0, 4096, (batch, length))
        positions = torch.arange(length // DOCUMENTS).repeat(DOCUMENTS).expand(batch, -1)
        for backend in ("sdpa", "eager"):
            model.set_attn_implementation(backend)
            ways = {"together": {}, "apart": {"position_ids": positions}}
            seconds = dict.fromkeys(ways, float("inf"))
            for _ in range(repeats):  # in turn, so that a busy machine disturbs both alike
                for way, settings in ways.items():
                    start = time.perf_counter()
                    model(input_ids=ids, labels=ids, **settings).loss.backward()
                    seconds[way] = min(seconds[way], time.perf_counter() - start)
            together, apart = seconds.values()
            rows.append(
                [name, backend, f"{1000 * together:.0f}", f"{1000 * apart:.0f}", f"{apart / together - 1:+.1%}"]
            )
    said = f"`python benchmarks/document_attention.py` on {machine()}, {torch.get_num_threads()} threads; the model of "
    said += f"the tiny preset, forward and backward, {DOCUMENTS} documents in a sequence; best of {repeats}.\n\n"
    head = ["tokens x sequences", "backend", "together, ms", "apart, ms", "cost"]
    write_section("Document attention on a CPU", said + table(head, rows))


if __name__ == "__main__":
    main()
