"""Which interpolation stretches a window best, on long and on short text (section 2(4) of the paper, figure 2).

python benchmarks/long_context.py --corpus ../shared/data/corpus_sample /usr/lib/python3.11
    two models of different size, window, factor and language mix are pre-trained; each is extended by every method
    with the same tokens and three seeds; every method is compared with ours and with the model before, by position
python benchmarks/long_context.py ... --quick
    one seed, an eighth of the training, in a folder of its own: to see that everything works
python benchmarks/long_context.py ... --choose
    variants of our own method on the first model, by which its default was chosen; a section of its own

What is there is not made again, so an interrupted run goes on. Writes a section of RESULTS.md and
docs/images/long_context*.png. The second model was not used to choose anything.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
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
from nec13b.rope_interpolation import RopeInterpolation

ROOT = Path(__file__).parent.parent
BEFORE, OURS, SEARCHED = "before", "ours", "searched"
SEEDS = (1, 2, 3)
MIX = ["--short_share", "0.5"]
METHODS = {
    "short text only": ["--interpolation", "none", "--short_share", "1"],
    "plain, long text only": ["--interpolation", "none", "--short_share", "0"],
    "plain": ["--interpolation", "none", *MIX],
    "linear": ["--interpolation", "linear", *MIX],
    "larger base": ["--interpolation", "ntk", *MIX],
    "YaRN": ["--interpolation", "yarn", *MIX],
    SEARCHED: MIX,  # its divisors are found first
    OURS: ["--interpolation", "own", *MIX],
}
VARIANTS: dict[str, dict] = {  # fields of RopeInterpolation that differ from our own choice
    "turns 0.125 to 0.5": {"low_rotations": 0.125, "high_rotations": 0.5},
    "turns 0.25 to 1": {"low_rotations": 0.25, "high_rotations": 1.0},
    "turns 0.5 to 2": {"low_rotations": 0.5, "high_rotations": 2.0},
    "turns 1 to 4": {"low_rotations": 1.0, "high_rotations": 4.0},
    "turns 0.25 to 4": {"low_rotations": 0.25, "high_rotations": 4.0},
    "turns 0.5 to 4": {"low_rotations": 0.5, "high_rotations": 4.0},
    "turns 0.25 to 8": {"low_rotations": 0.25, "high_rotations": 8.0},
    "turns 0.5 to 2, log-length": {"low_rotations": 0.5, "high_rotations": 2.0, "log_length_attention": True},
    "turns 0.5 to 2, temperature 0.9": {"low_rotations": 0.5, "high_rotations": 2.0, "attention_temperature": 0.9},
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

    @property
    def new_window(self) -> int:
        """Tokens after the extension."""
        return self.window * self.factor


SETUPS = {
    "first": Setup(192, 512, 4, 6, 256, 4, "ja=0.6,en=0.25,code=0.15", 8_000_000, 400_000),
    "second": Setup(128, 352, 5, 4, 128, 8, "ja=0.25,en=0.35,code=0.4", 4_000_000, 300_000),
}
VOCABULARY, BASE_BATCH, EXTENSION_BATCH = 8192, 8192, 16384
DOCUMENTS, ZERO_SHOT_FACTORS = 60, (8, 16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", nargs="+", required=True)
    parser.add_argument("--output_dir", default="runs/long_context")
    parser.add_argument("--setups", nargs="+", choices=SETUPS, default=list(SETUPS))
    parser.add_argument("--choose", action="store_true", help="compare variants of our own method on the first model")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time; they share the cores")
    parser.add_argument("--quick", action="store_true", help="one seed and an eighth of the tokens; writes no section")
    arguments = parser.parse_args()
    output = Path(arguments.output_dir + ("_quick" if arguments.quick else ""))
    shrink = 8 if arguments.quick else 1
    data = pack(arguments.corpus, output)
    setups = list(SETUPS)[:1] if arguments.choose else arguments.setups
    comparisons = [Comparison(name, SETUPS[name], data, output / name, shrink, arguments.jobs) for name in setups]
    seeds = SEEDS[:1] if arguments.quick or arguments.choose else SEEDS
    command = f"python benchmarks/long_context.py --corpus {' '.join(Path(c).name for c in arguments.corpus)}"
    command += " --choose" * arguments.choose
    with ThreadPoolExecutor(arguments.jobs) as pool:
        # Jobs begin in the order in which they are given, so none waits for one that has not begun.
        for comparison in comparisons:
            comparison.pretraining = pool.submit(comparison.pretrain, min(arguments.jobs, len(comparisons)))
        for comparison in comparisons:
            comparison.submit(pool, seeds, variants=arguments.choose)
        for comparison in comparisons:
            title = "Long context, choosing the ramp" if arguments.choose else f"Long context, {comparison.name} model"
            body = comparison.variants() if arguments.choose else comparison.methods()
            if arguments.quick:
                print(body)
                continue
            write_section(title, f"`{command}` on {machine()}; {comparison.minutes()}.\n\n{body}")
            if not arguments.choose:
                comparison.draw(ROOT / "docs" / "images" / f"long_context_{comparison.name}.png")
    if not (arguments.choose or arguments.quick):
        draw_divisors(ROOT / "docs" / "images" / "long_context_divisors.png")


def recipe(name: str, *flags) -> None:
    """Runs a recipe."""
    command = [sys.executable, str(ROOT / "recipes" / f"{name}.py"), *map(str, flags)]
    done = subprocess.run(command, env=os.environ | {"HF_HUB_OFFLINE": "1"}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"recipes/{name}.py failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def pack(corpus: list[str], output: Path) -> Path:
    """Tokens of the corpus with a tenth held out, and their tokenizer; both models share them."""
    recipe("pack_tokens", "--corpus", *corpus, "--vocab_size", VOCABULARY, "--tokenizer_characters", 6_000_000,
           "--held_out_fraction", 0.1, "--output_dir", output / "data")  # fmt: skip
    return output / "data"


class Comparison:
    """One model, extended in every way, and what came of it.

    Args:
        name, setup: which model.
        data: tokens and tokenizer.
        folder: where all runs lie.
        shrink: by how much fewer tokens are trained on.
        jobs: trainings at a time.
    """

    def __init__(self, name: str, setup: Setup, data: Path, folder: Path, shrink: int, jobs: int):
        self.name, self.setup, self.data, self.folder, self.shrink = name, setup, data, folder, shrink
        self.jobs = jobs
        self.base = folder / "base" / "model"
        self.shards = TokenShards.open(data / "tokens")
        self.text = HeldOutText.of(self.shards, setup.new_window, setup.window, DOCUMENTS)
        self.ranges = buckets(setup.new_window)
        self.pretraining: Future | None = None
        self.runs: dict[str, list[Future]] = {}
        self.losses: dict[str, list[Losses]] = {}

    def pretrain(self, at_a_time: int) -> None:
        """The model before the extension."""
        print(f"{self.name}: pre-training", flush=True)
        setup = self.setup
        recipe(
            "pretrain", *self.common("base", at_a_time), "--hidden_size", setup.hidden, "--intermediate_size",
            setup.feed_forward, "--num_hidden_layers", setup.layers, "--num_attention_heads", setup.heads,
            "--sequence_length", setup.window, "--tokens_per_batch", BASE_BATCH,
            "--per_device_train_batch_size", 4096 // setup.window,
            "--train_tokens", setup.base_tokens // self.shrink, "--learning_rate", setup.rate,
            "--min_learning_rate", setup.rate / 10, "--warmup_steps", 0.05, "--save_steps", 200,
        )  # fmt: skip

    def common(self, folder: str, at_a_time: int) -> list:
        """Flags of all trainings, of which so many share the cores."""
        return ["--tokens", self.data / "tokens", "--tokenizer", self.data / "tokenizer", "--mixture",
                self.setup.mixture, "--output_dir", self.folder / folder, "--cpu_threads",
                max(1, (os.cpu_count() or 1) // at_a_time), "--eval_strategy", "no", "--logging_steps", 10]  # fmt: skip

    def extend(self, method: str, flags: list[str], seed: int) -> Losses:
        """Extends the model and measures it, unless that is done."""
        self.pretraining.result()
        setup, folder = self.setup, f"{method.replace(' ', '_').replace(',', '')}-{seed}"
        note, made = self.folder / "losses" / f"{folder}.json", json.dumps([str(setup), self.shrink, *flags])
        if note.is_file() and note.read_text() != made:
            raise SystemExit(f"{self.folder / folder} was made with other settings; choose another --output_dir")
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(made)
        if not (self.folder / folder / "run.json").is_file():
            print(f"{self.name}: {method}, seed {seed}", flush=True)
            recipe(
                "extend_context", *self.common(folder, self.jobs), "--model", self.base, "--sequence_length",
                setup.new_window, "--seed", seed, "--tokens_per_batch", EXTENSION_BATCH,
                "--per_device_train_batch_size", max(1, 4096 // setup.new_window),
                "--train_tokens", setup.extension_tokens // self.shrink,
                "--learning_rate", setup.extension_rate, "--min_learning_rate", setup.extension_rate / 10,
                "--warmup_steps", 0.1, "--save_strategy", "no", *flags,
            )  # fmt: skip
        return losses_of(self.folder / folder / "model", self.text, self.folder / "losses" / f"{folder}.npz")

    def submit(self, pool: ThreadPoolExecutor, seeds: tuple[int, ...], variants: bool) -> None:
        """Gives all trainings to a pool, those of the searched divisors last, since they wait for the search."""
        flags = {name: ["--interpolation_options", json.dumps(options), *MIX] for name, options in VARIANTS.items()}
        methods = {name: METHODS[name] for name in ("plain", "YaRN")} | flags if variants else METHODS
        search = pool.submit(self.searched) if SEARCHED in methods else None
        runs = {
            m: [pool.submit(self.extend, m, f, seed) for seed in seeds] for m, f in methods.items() if m != SEARCHED
        }
        if search:
            runs[SEARCHED] = [pool.submit(self.extend_searched, search, seed) for seed in seeds]
        self.runs = {method: runs[method] for method in methods}

    def extend_searched(self, search: Future, seed: int) -> Losses:
        """Extends the model with the divisors of the search."""
        options = {"method": "factors", "factors": search.result()}
        flags = ["--interpolation", "none", "--interpolation_options", json.dumps(options), *MIX]
        return self.extend(SEARCHED, flags, seed)

    def measure(self) -> None:
        """Waits for all trainings and fills `losses`."""
        self.pretraining.result()
        self.losses = {BEFORE: [losses_of(self.base, self.text, self.folder / "losses" / "before.npz")]}
        for method, runs in self.runs.items():
            self.losses[method] = [run.result() for run in runs]

    def methods(self) -> str:
        """The Markdown that says how all methods compare."""
        self.measure()
        self.draw(self.folder / "long_context.png")
        parts = [*self.head(), self.table_of_losses(), *self.table_of_differences(), *self.verdicts()]
        names = ("none", "linear", "ntk", "yarn", "own")
        parts += self.without_training({name: self.interpolation(name) for name in names}, ZERO_SHOT_FACTORS)
        parts.append(f"![loss by position](../docs/images/long_context_{self.name}.png)")
        return "\n\n".join(parts)

    def variants(self) -> str:
        """The same for variants of our own method."""
        self.measure()
        methods = {"plain": self.interpolation("none"), "YaRN": self.interpolation("yarn")}
        plain = {"attention_temperature": 1.0}
        methods |= {name: self.interpolation("own", plain | options) for name, options in VARIANTS.items()}
        methods[OURS] = self.interpolation("own")
        return "\n\n".join([*self.head(), self.table_of_losses(), *self.without_training(methods, ZERO_SHOT_FACTORS)])

    def interpolation(self, name: str, options: dict | None = None) -> Callable[[float], RopeInterpolation]:
        """An interpolation by the factor."""
        return lambda factor: replace(interpolation_named(name, factor, self.setup.window), **(options or {}))

    def searched(self) -> list[float]:
        """Divisors that a search finds on training text."""
        self.pretraining.result()
        path, window = self.folder / "searched.json", self.setup.new_window
        if not path.is_file():
            print(f"{self.name}: searching divisors", flush=True)
            pieces = [long_windows(stream, window) for stream in self.shards.streams["train"].values()]
            ids = np.stack([p.window(i * window, window) for p in pieces if p.documents for i in (0, p.documents // 2)])
            model = load_as_nec13b(self.base).eval()
            factors = searched_factors(model, ids, float(self.setup.factor), self.setup.window, say=print)
            path.write_text(json.dumps(factors))
        return json.loads(path.read_text())

    def draw(self, path: Path) -> None:
        """Figure 2."""
        draw_by_position(path, self.losses, self.ranges, self.setup.window, emphasised=OURS)

    def head(self) -> list[str]:
        """What was done."""
        setup, seeds = self.setup, max(map(len, self.losses.values()))
        parameters = json.loads((self.base.parent / "run.json").read_text())["counts"]["parameters"]
        what = (
            f"**{parameters / 1e6:.1f}M parameters, {setup.mixture}, {setup.window:,} -> {setup.new_window:,} tokens**"
        )
        return [
            f"{what}: "
            f"loss by position in {len(self.text.long)} long held-out documents and on the first {setup.window} tokens "
            f"of {len(self.text.short)} short ones; {setup.base_tokens // self.shrink:,} tokens of pre-training, "
            f"{setup.extension_tokens // self.shrink:,} of extension, {seeds} seed{'s' * (seeds > 1)}.",
        ]  # fmt: skip

    def minutes(self) -> str:
        """How long a training took with its share of the cores."""
        records = [json.loads(path.read_text()) for path in self.folder.glob("*-[0-9]/run.json")]
        median = np.median([record["timings_seconds"]["total"] for record in records])
        return f"an extension took {median / 60:.1f} minutes (median), {self.jobs} at a time"

    def table_of_losses(self) -> str:
        """Mean losses."""
        columns = list(estimates(self.losses[BEFORE], self.ranges))
        rows = [[m, *(f"{estimates(x, self.ranges)[c].mean:.3f}" for c in columns)] for m, x in self.losses.items()]
        return table(["method", *columns], rows)

    def table_of_differences(self) -> list[str]:
        """Ours less each other method."""
        rows = [[m, *(str(e) for e in estimates(self.losses[OURS], self.ranges, x).values())]
                for m, x in self.losses.items() if m != OURS]  # fmt: skip
        columns = list(estimates(self.losses[BEFORE], self.ranges))
        return ["Ours less each of them (negative: ours is better), with 95% intervals over documents and seeds:",
                table(["ours less", *columns], rows)]  # fmt: skip

    def without_training(self, methods: dict[str, Callable], factors: tuple[int, ...]) -> list[str]:
        """Loss at longer windows with the weights as they were."""
        rows, old = [], self.setup.window
        for factor in factors:
            window = old * factor
            text = HeldOutText.of(self.shards, window, old, DOCUMENTS // 6)
            for name, interpolation in methods.items():
                rope = interpolation(float(factor)).to_rope_parameters(10000.0)
                changes = {"rope_parameters": rope, "max_position_embeddings": window}
                digest = hashlib.sha256(json.dumps(rope, sort_keys=True).encode()).hexdigest()[:12]
                losses = losses_of(self.base, text, self.folder / "losses" / f"zero-{window}-{digest}.npz", changes)
                found = estimates([losses], [(16, old), (old, window)])
                rows.append([f"{factor}", name, *(f"{e.mean:.3f}" for e in found.values())])
        return ["Without any training, loss within the old window and beyond it, by factor:",
                table(["factor", "method", "within", "beyond", SHORT], rows)]  # fmt: skip

    def verdicts(self) -> list[str]:
        """Which of the claims hold, each with what it rests on."""
        found, window = [], self.setup.window
        for method, theirs in self.losses.items():
            if method == OURS:
                continue
            difference = estimates(self.losses[OURS], self.ranges, theirs)
            worse = [name for name, e in difference.items() if e.low > 0]
            behind = [name for name, e in difference.items() if e.mean > 0]
            inside = [difference[f"{low:,}-{high:,}"].mean for low, high in self.ranges if high <= window]
            beyond = [difference[f"{low:,}-{high:,}"].mean for low, high in self.ranges if low >= window]
            verdict = (f"- against **{method}**: mean within the old window {np.mean(inside):+.4f}, beyond "
                       f"{np.mean(beyond):+.4f}, short documents {difference[SHORT].mean:+.4f}; ")  # fmt: skip
            verdict += f"surely worse in {', '.join(worse)}" if worse else "nowhere surely worse"
            verdict += f"; behind in the mean in {', '.join(behind)}" if behind else "; ahead in every mean"
            if method == "linear":
                short_of = [name for name, e in difference.items() if e.mean > -LEAST_GAIN_ON_LINEAR]
                verdict += (f"; less than {LEAST_GAIN_ON_LINEAR} ahead in {', '.join(short_of)}" if short_of
                            else f"; at least {LEAST_GAIN_ON_LINEAR} ahead everywhere")  # fmt: skip
            found.append(verdict)
        return ["\n".join(found)]


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


if __name__ == "__main__":
    main()
