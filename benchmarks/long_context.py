"""Which interpolation stretches a window best, on long and on short text (section 2(4) of the paper, figure 2).

python benchmarks/long_context.py --corpus ../shared/data/corpus_sample /usr/lib/python3.11
    two models of different size, window, factor and language mix are pre-trained; each is extended by every method
    with the same tokens and three seeds; every method is compared with ours and with the model before, by position
python benchmarks/long_context.py ... --quick
    one seed, an eighth of the training, in a folder of its own: to see that everything works

What is there is not made again, so an interrupted run goes on. Writes a section of RESULTS.md and
docs/images/long_context*.png. The method was chosen on the first model; the second was not used for that.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from results import machine, table, write_section

from nec13b.llama_conversion import load_as_nec13b
from nec13b.long_context.factor_search import searched_factors
from nec13b.long_context.interpolations import interpolation_named
from nec13b.long_context.lengths import long_windows
from nec13b.long_context.position_losses import HeldOutText, Losses, buckets
from nec13b.long_context.position_report import SHORT, draw_by_position, draw_divisors, estimates
from nec13b.pretraining import TokenShards

ROOT = Path(__file__).parent.parent
BEFORE, OURS = "before", "ours"
SEEDS = (1, 2, 3)
MIX = ["--short_share", "0.5"]
METHODS = {
    "short text only": ["--interpolation", "none", "--short_share", "1"],
    "plain, long text only": ["--interpolation", "none", "--short_share", "0"],
    "plain": ["--interpolation", "none", *MIX],
    "linear": ["--interpolation", "linear", *MIX],
    "larger base": ["--interpolation", "ntk", *MIX],
    "YaRN": ["--interpolation", "yarn", *MIX],
    "searched": MIX,  # its factors are found first
    OURS: ["--interpolation", "own", *MIX],
}
LEAST_GAIN_ON_LINEAR = 0.05


@dataclass(frozen=True)
class Setup:
    """A model and how far it is extended.

    Attributes:
        hidden, feed_forward, layers, heads: its shape.
        window, factor: tokens of the old window, and how often the new one holds it.
        mixture: proportions of the domains.
        base_tokens, extension_tokens: to train on before and during the extension.
        rate, extension_rate: learning rates.
    """

    hidden: int
    feed_forward: int
    layers: int
    heads: int
    window: int
    factor: int
    mixture: str
    base_tokens: int
    extension_tokens: int
    rate: float = 3e-3
    extension_rate: float = 5e-4


SETUPS = {
    "first": Setup(192, 512, 4, 6, 256, 4, "ja=0.6,en=0.25,code=0.15", 8_000_000, 500_000),
    "second": Setup(128, 352, 5, 4, 128, 8, "ja=0.25,en=0.35,code=0.4", 5_000_000, 500_000),
}
VOCABULARY, BASE_BATCH, EXTENSION_BATCH = 8192, 8192, 16384
DOCUMENTS, ZERO_SHOT_FACTORS = 60, (8, 16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", nargs="+", required=True)
    parser.add_argument("--output_dir", default="runs/long_context")
    parser.add_argument("--setups", nargs="+", choices=SETUPS, default=list(SETUPS))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), help="some of them, to try; writes no section")
    parser.add_argument("--quick", action="store_true", help="one seed and an eighth of the tokens; writes no section")
    arguments = parser.parse_args()
    output = Path(arguments.output_dir + ("_quick" if arguments.quick else ""))
    started, sections = time.monotonic(), []
    tokens = pack(arguments.corpus, output)
    for name in arguments.setups:
        sections.append(compare(name, tokens, output, arguments))
    draw_divisors(ROOT / "docs" / "images" / "long_context_divisors.png")
    body = "\n\n".join(sections)
    print(body)
    if not arguments.quick and arguments.methods == list(METHODS) and arguments.setups == list(SETUPS):
        minutes = (time.monotonic() - started) / 60
        head = (f"`python benchmarks/long_context.py --corpus {' '.join(Path(c).name for c in arguments.corpus)}` on "
                f"{machine()}; this call took {minutes:.0f} minutes.\n\n")  # fmt: skip
        write_section("Long context", head + body)


def recipe(name: str, *flags) -> None:
    """Runs a recipe on all cores."""
    command = [sys.executable, str(ROOT / "recipes" / f"{name}.py"), *map(str, flags)]
    done = subprocess.run(command, env=os.environ | {"HF_HUB_OFFLINE": "1"}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"recipes/{name}.py failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def pack(corpus: list[str], output: Path) -> Path:
    """Tokens of the corpus with a tenth held out, and their tokenizer; both models share them."""
    recipe("pack_tokens", "--corpus", *corpus, "--vocab_size", VOCABULARY, "--tokenizer_characters", 6_000_000,
           "--held_out_fraction", 0.1, "--output_dir", output / "data")  # fmt: skip
    return output / "data"


def pretrain(name: str, setup: Setup, data: Path, folder: Path, shrink: int) -> Path:
    """The model before the extension."""
    print(f"{name}: pre-training", flush=True)
    recipe(
        "pretrain", "--tokens", data / "tokens", "--tokenizer", data / "tokenizer", "--output_dir", folder / "base",
        "--hidden_size", setup.hidden, "--intermediate_size", setup.feed_forward, "--num_hidden_layers", setup.layers,
        "--num_attention_heads", setup.heads, "--sequence_length", setup.window, "--mixture", setup.mixture,
        "--tokens_per_batch", BASE_BATCH, "--per_device_train_batch_size", BASE_BATCH // setup.window,
        "--train_tokens", setup.base_tokens // shrink, "--learning_rate", setup.rate, "--min_learning_rate",
        setup.rate / 10, "--warmup_steps", 0.05, "--eval_strategy", "no", "--save_steps", 200, "--logging_steps", 20,
    )  # fmt: skip
    return folder / "base" / "model"


def extend(setup: Setup, base: Path, data: Path, folder: Path, flags: list[str], seed: int, shrink: int) -> Path:
    """The model after the extension."""
    window = setup.window * setup.factor
    if (folder / "run.json").is_file():
        return folder / "model"
    recipe(
        "extend_context", "--model", base, "--tokens", data / "tokens", "--tokenizer", data / "tokenizer",
        "--output_dir", folder, "--sequence_length", window, "--mixture", setup.mixture, "--seed", seed,
        "--tokens_per_batch", EXTENSION_BATCH, "--per_device_train_batch_size", max(1, 4096 // window),
        "--train_tokens", setup.extension_tokens // shrink, "--learning_rate", setup.extension_rate,
        "--min_learning_rate", setup.extension_rate / 10, "--warmup_steps", 0.1, "--eval_strategy", "no",
        "--save_strategy", "no", "--logging_steps", 10, *flags,
    )  # fmt: skip
    return folder / "model"


def losses_of(model_path: Path, text: HeldOutText, cache: Path, changes: dict | None = None) -> Losses:
    """Losses by position, measured once and kept."""
    if cache.is_file():
        kept = np.load(cache)
        return Losses(kept["long"], kept["short"])
    losses = Losses.of(load_as_nec13b(model_path, changes).eval(), text)
    cache.parent.mkdir(parents=True, exist_ok=True)
    with cache.with_suffix(".tmp").open("wb") as file:
        np.savez(file, long=losses.long, short=losses.short)
    os.replace(cache.with_suffix(".tmp"), cache)
    return losses


def searched(setup: Setup, base: Path, shards: TokenShards, folder: Path) -> list[str]:
    """Flags with divisors that a search finds on training text."""
    path, window = folder / "searched.json", setup.window * setup.factor
    if not path.is_file():
        print("searching divisors", flush=True)
        pieces = [long_windows(stream, window) for stream in shards.streams["train"].values()]
        ids = np.stack([p.window(i * window, window) for p in pieces if p.documents for i in (0, p.documents // 2)])
        factors = searched_factors(load_as_nec13b(base).eval(), ids, float(setup.factor), setup.window, say=print)
        path.write_text(json.dumps(factors))
    options = {"method": "factors", "factors": json.loads(path.read_text())}
    return ["--interpolation", "none", "--interpolation_options", json.dumps(options), *MIX]


def compare(name: str, data: Path, output: Path, arguments: argparse.Namespace) -> str:
    """Extends one model by every method; the Markdown that says how they compare."""
    setup, folder = SETUPS[name], output / name
    shrink, seeds = (8, SEEDS[:1]) if arguments.quick else (1, SEEDS)
    shards, window = TokenShards.open(data / "tokens"), setup.window * setup.factor
    base = pretrain(name, setup, data, folder, shrink)
    text = HeldOutText.of(shards, window, setup.window, DOCUMENTS)
    losses = {BEFORE: [losses_of(base, text, folder / "losses" / "before.npz")]}
    for method in arguments.methods:
        flags = METHODS.get(method)
        if method == "searched":
            flags = searched(setup, base, shards, folder)
        elif flags is None:  # NAME:FLAGS, to try something
            flags = method.partition(":")[2].split()
        label = method.partition(":")[0]
        for seed in seeds:
            place = folder / f"{label.replace(' ', '_').replace(',', '')}-{seed}"
            print(f"{name}: {label}, seed {seed}", flush=True)
            model = extend(setup, base, data, place, flags, seed, shrink)
            losses.setdefault(label, []).append(losses_of(model, text, folder / "losses" / f"{place.name}.npz"))
    ranges = buckets(window)
    suffix = "" if name == "first" else f"_{name}"
    picture = ROOT / "docs" / "images" / f"long_context{suffix}.png"
    if arguments.quick or arguments.methods != list(METHODS):
        picture = folder / "long_context.png"
    draw_by_position(picture, losses, ranges, setup.window)
    zero_shot = without_training(setup, base, shards, folder)
    return section(name, setup, base, losses, ranges, text, zero_shot, picture)


def without_training(setup: Setup, base: Path, shards: TokenShards, folder: Path) -> dict[int, dict[str, dict]]:
    """Loss by position at windows of 8 and 16 times the old one, the weights as they were."""
    found: dict[int, dict[str, dict]] = {}
    for factor in ZERO_SHOT_FACTORS:
        window = setup.window * factor
        text = HeldOutText.of(shards, window, setup.window, DOCUMENTS // 3)
        ranges = [(16, setup.window), (setup.window, window)]
        for method in ("none", "linear", "ntk", "yarn", "own"):
            rope = interpolation_named(method, float(factor), setup.window).to_rope_parameters(10000.0)
            changes = {"rope_parameters": rope, "max_position_embeddings": window}
            losses = losses_of(base, text, folder / "losses" / f"zero-{factor}-{method}.npz", changes)
            found.setdefault(factor, {})[method] = estimates([losses], ranges)
    return found


def section(name, setup, base, losses, ranges, text, zero_shot, picture) -> str:
    """The tables of one model."""
    before, ours = losses[BEFORE], losses.get(OURS)
    columns = list(estimates(before, ranges))
    parameters = json.loads((base.parent / "run.json").read_text())["counts"]["parameters"]
    lines = [
        f"### The {name} model: {parameters / 1e6:.1f}M parameters, {setup.mixture}, {setup.window:,} -> "
        f"{setup.window * setup.factor:,} tokens",
        f"Loss by position in {len(text.long)} long held-out documents and on the first {setup.window} tokens of "
        f"{len(text.short)} short ones; {setup.extension_tokens:,} tokens of extension, mean of "
        f"{max(len(x) for x in losses.values())} seeds.",
        table(["method", *columns],
              [[m, *(f"{estimates(x, ranges)[c].mean:.3f}" for c in columns)] for m, x in losses.items()]),
    ]  # fmt: skip
    if ours:
        rows = [[m, *(str(e) for e in estimates(ours, ranges, x).values())] for m, x in losses.items() if m != OURS]
        lines += ["Ours less each of them (negative: ours is better), with 95% intervals over documents and seeds:",
                  table(["ours less", *columns], rows), *verdicts(losses, ranges, setup)]  # fmt: skip
    lines.append("Without any training, loss within the old window and beyond it, by factor:")
    rows = [[f"{factor}", m, *(f"{e.mean:.3f}" for e in by.values())]
            for factor, methods in zero_shot.items() for m, by in methods.items()]  # fmt: skip
    lines.append(table(["factor", "method", "within", "beyond", SHORT], rows))
    if picture.is_relative_to(ROOT / "docs"):
        lines.append(f"![loss by position](../{picture.relative_to(ROOT).as_posix()})")
    return "\n\n".join(lines)


def verdicts(losses: dict[str, list[Losses]], ranges: list[tuple[int, int]], setup: Setup) -> list[str]:
    """Which of the claims hold, each with what it rests on."""
    ours, found = losses[OURS], []
    for method, theirs in losses.items():
        if method == OURS:
            continue
        difference = estimates(ours, ranges, theirs)
        worse = [name for name, e in difference.items() if e.low > 0]
        behind = [name for name, e in difference.items() if e.mean > 0]
        inside = [difference[f"{low:,}-{high:,}"].mean for low, high in ranges if high <= setup.window]
        beyond = [difference[f"{low:,}-{high:,}"].mean for low, high in ranges if low >= setup.window]
        verdict = (f"- against **{method}**: mean within the old window {np.mean(inside):+.3f}, beyond "
                   f"{np.mean(beyond):+.3f}, short documents {difference[SHORT].mean:+.3f}; ")  # fmt: skip
        verdict += f"surely worse in {', '.join(worse)}" if worse else "nowhere surely worse"
        verdict += f"; behind in the mean in {', '.join(behind)}" if behind else "; ahead in every mean"
        if method == "linear":
            short_of = [name for name, e in difference.items() if e.mean > -LEAST_GAIN_ON_LINEAR]
            verdict += (f"; less than {LEAST_GAIN_ON_LINEAR} ahead in {', '.join(short_of)}" if short_of
                        else f"; at least {LEAST_GAIN_ON_LINEAR} ahead everywhere")  # fmt: skip
        found.append(verdict)
    return ["\n".join(found)]


if __name__ == "__main__":
    main()
