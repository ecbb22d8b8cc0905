"""Loss against compute from three sizes, extrapolated to a fourth that is then really trained.

python benchmarks/scaling.py --corpus ../shared/data/corpus_sample ... --output_dir runs/scaling
    trains what is not yet there (a run that was interrupted goes on), writes its table into benchmarks/RESULTS.md and
    the figure to docs/images/scaling.png; the largest run is the one to look at: its loss curve and its samples.

All sizes share corpus, tokenizer and recipe, and see five tokens for each parameter.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from results import machine, table, write_section

from nec13b.corpus.mixture import DEFAULT_PROPORTIONS
from nec13b.pretraining.callbacks import read_metrics
from nec13b.pretraining.compute_plan import training_flops_per_token
from nec13b.pretraining.figures import held_out_curves
from nec13b.pretraining.model_shape import ModelShape
from nec13b.pretraining.scaling import RunPoint, ScalingLaw, draw_scaling

ROOT = Path(__file__).parent.parent
TOKENS_A_PARAMETER = 5
VOCABULARY, LENGTH, BATCH = 8192, 256, 8192
# hidden, feed-forward, layers, heads, learning rate
SIZES = {
    "XS": (40, 112, 3, 4, 6e-3),
    "S": (56, 152, 3, 4, 5e-3),
    "M": (80, 224, 4, 4, 4e-3),
    "L": (192, 512, 6, 6, 2.5e-3),
}
EVALUATIONS = 20
PROMPTS = ["京都の寺院は", "吾輩は", "The emperor moved the capital to", "def read_lines(path):\n"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", nargs="+", required=True)
    parser.add_argument("--output_dir", default="runs/scaling")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--shrink", type=int, default=1, help="divides the tokens of every run, to try the script")
    arguments = parser.parse_args()
    output = Path(arguments.output_dir)
    tokens = pack(arguments.corpus, output)
    runs = {size: train(size, tokens, output, arguments.shrink) for size in arguments.sizes}
    if len(runs) < len(SIZES):
        return
    points = {size: RunPoint(f"{r['parameters'] / 1e6:.1f} M", r["flops"], r["loss"]) for size, r in runs.items()}
    *fitted, largest = SIZES
    law = ScalingLaw.fit([points[size] for size in fitted])
    low, high = law.interval(points[largest].flops)
    curves = {points[size].name: r["curve"] for size, r in runs.items()}
    draw_scaling(ROOT / "docs" / "images" / "scaling.png", law, curves, points[largest])
    shutil.copy(output / largest / "loss.png", ROOT / "docs" / "images" / "two_hours_loss.png")
    rows = []
    for size, run in runs.items():
        losses = [f"{value:.3f}" for value in run["losses"].values()]
        rows.append([points[size].name, f"{run['tokens'] / 1e6:.1f} M", f"{run['flops']:.2e}", *losses,
                     f"{run['loss']:.3f}", f"{run['seconds'] / 60:.0f}"])  # fmt: skip
    domains = list(runs[largest]["losses"])
    head = ["parameters", "tokens", "FLOP", *(f"loss {d}" for d in domains), "loss", "minutes"]
    body = (
        f"`python benchmarks/scaling.py --corpus {' '.join(Path(c).name for c in arguments.corpus)}` on {machine()}; "
        f"vocabulary {VOCABULARY:,}, sequences of {LENGTH}, {BATCH:,} tokens a batch, {TOKENS_A_PARAMETER} tokens a "
        "parameter, one seed. `loss` is the held-out losses in the proportions of the mixture.\n\n"
        f"{table(head, rows)}\n\n"
        f"Fitted to the first three, L is proportional to C^{law.slope:.3f}. For the fourth the law expects "
        f"{law.loss(points[largest].flops):.3f}, between {low:.3f} and {high:.3f} with a probability of 90%; it came "
        f"to **{points[largest].loss:.3f}**.\n\n![loss against compute](../docs/images/scaling.png)\n\n"
        f"What the fourth writes:\n\n{quoted(output / largest / 'samples.md')}"
    )
    write_section("Pre-training: scaling, and a run of two hours", body)


def recipe(name: str, flags: list[str]) -> None:
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, str(ROOT / "recipes" / f"{name}.py"), *flags], env=environment)
    if done.returncode:
        raise SystemExit(f"recipes/{name}.py failed")


def pack(corpus: list[str], output: Path) -> Path:
    flags = ["--corpus", *corpus, "--vocab_size", str(VOCABULARY), "--tokenizer_characters", "6000000",
             "--held_out_fraction", "0.02", "--output_dir", str(output / "data")]  # fmt: skip
    recipe("pack_tokens", flags)
    return output / "data"


def train(size: str, data: Path, output: Path, shrink: int) -> dict:
    """Trains one size, or finds it done; what it came to."""
    hidden, feed_forward, layers, heads, rate = SIZES[size]
    shape = ModelShape(VOCABULARY, hidden, feed_forward, layers, heads)
    steps = max(EVALUATIONS, shape.parameters * TOKENS_A_PARAMETER // BATCH // shrink)
    folder = output / size
    recipe("pretrain", [
        "--tokens", str(data / "tokens"), "--tokenizer", str(data / "tokenizer"), "--output_dir", str(folder),
        "--hidden_size", str(hidden), "--intermediate_size", str(feed_forward), "--num_hidden_layers", str(layers),
        "--num_attention_heads", str(heads), "--sequence_length", str(LENGTH), "--tokens_per_batch", str(BATCH),
        "--per_device_train_batch_size", "16", "--max_steps", str(steps), "--learning_rate", str(rate),
        "--min_learning_rate", str(rate / 10), "--warmup_steps", "0.05", "--eval_steps", str(steps // EVALUATIONS),
        "--eval_on_start", "true", "--eval_sequences", "128", "--per_device_eval_batch_size", "16",
        "--save_steps", str(steps // 10), "--logging_steps", "1", "--sample_prompts", *PROMPTS,
    ])  # fmt: skip
    record = json.loads((folder / "run.json").read_text())
    flops = training_flops_per_token(shape, LENGTH)
    curves = held_out_curves(read_metrics(folder))
    weights = {domain: DEFAULT_PROPORTIONS[domain] for domain in curves}

    def mixed(index: int) -> tuple[float, float]:
        total = sum(weights.values())
        loss = sum(weights[d] * curve[index][1] for d, curve in curves.items()) / total
        return next(iter(curves.values()))[index][0] * BATCH * flops, loss

    points = [mixed(i) for i in range(len(next(iter(curves.values()))))]
    return {
        "parameters": record["counts"]["parameters"],
        "tokens": record["counts"]["tokens"],
        "flops": record["counts"]["tokens"] * flops,
        "losses": {domain: curve[-1][1] for domain, curve in sorted(curves.items())},
        "loss": points[-1][1],
        "curve": points[1:],
        "seconds": record["timings_seconds"]["training"],
    }


def quoted(path: Path) -> str:
    """The samples, one level of headings lower."""
    return path.read_text(encoding="utf-8").split("\n", 2)[2].replace("## ", "### ")


if __name__ == "__main__":
    main()
