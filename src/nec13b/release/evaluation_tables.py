"""What each evaluation says of one model: tables and protocol for people, `EvalResult`s for the card's metadata."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult

from ..jglue.questions import HUB_NAMES, JCQA, JSQUAD, KNOWN
from ..jglue.summary import NAMES as JGLUE_METRICS
from ..model_comparison.comparison_prompts import BUILT_IN
from ..model_comparison.comparison_report import measures
from ..rakuda.judge_prompt import OWN_PROMPT
from ..rakuda.questions import HUB_DATA_SET, RAKUDA_DIGEST
from ..rakuda.rakuda_config import REPLAY

JGLUE_TITLES = {JSQUAD: "JSQuAD", JCQA: "JCommonsenseQA"}
SAFETY_PROMPTS = "the built-in prompts on harm and on what only looks like it"


@dataclass(frozen=True)
class Measured:
    """A folder of results, and the label under which the model stands in it.

    Attributes:
        record: its run.json.
        values: its file of results.
        label: of the model.
    """

    record: dict[str, Any]
    values: dict[str, Any]
    label: str


@dataclass(frozen=True)
class Statement:
    """What an evaluation says of a model.

    Attributes:
        title: heading in the card.
        tables: (columns, rows) of the numbers.
        protocol: sentences on how they came about.
        results: the numbers for the card's metadata.
    """

    title: str
    tables: list[tuple[list[str], list[list[str]]]]
    protocol: list[str]
    results: list[EvalResult]


def of_jglue(measured: Measured) -> Statement:
    """JSQuAD and JCommonsenseQA, by task and metric."""
    rows, protocol, results = [], [], []
    for task, found in measured.values["tasks"].items():
        model, how = found["models"][measured.label], found["protocol"]
        kind = JSQUAD if JSQUAD in task else JCQA
        is_published = any(said in how["asked_from"] for said in KNOWN.values())
        for metric in found["metrics"]:
            value = model["scores"][metric]
            rows.append([
                f"`{task}`", JGLUE_METRICS[metric], f"{value['mean']:.2f}", _span(value, "{:.2f}"), f"{how['asked']:,}",
                how["prompt"], f"{how['shots']}", ", ".join(map(str, how["few_shot_seeds"])),
            ])  # fmt: skip
            results.append(EvalResult(
                task_type="question-answering" if kind == JSQUAD else "multiple-choice",
                dataset_type=HUB_NAMES[kind] if is_published else task,
                dataset_name=JGLUE_TITLES[kind] if is_published else f"{JGLUE_TITLES[kind]}, other questions",
                dataset_split="validation" if is_published else None,
                metric_type=metric, metric_name=JGLUE_METRICS[metric], metric_value=round(value["mean"], 2),
                metric_args={
                    "task": task, "prompt": how["prompt"], "shots": how["shots"],
                    "few_shot_seeds": how["few_shot_seeds"], "questions": how["asked"], "unit": "percent",
                    "interval_95": _pair(value, 2),
                },
            ))  # fmt: skip
        protocol.append(_protocol_of_task(task, how, model))
    columns = ["task", "metric", "percent", "95% interval", "questions", "prompt", "shots", "few-shot seeds"]
    if measured.record["config"].get("limit"):
        protocol.append("**Only the first questions of each task were asked**, so these numbers are a trial.")
    protocol.append("Intervals are over passages (JSQuAD) or questions and few-shot seeds, drawn again together.")
    return Statement("JGLUE", [(columns, rows)], protocol, results)


def _protocol_of_task(task: str, how: dict[str, Any], model: dict[str, Any]) -> str:
    same, versions = how["same_as_jp_stable"], [f"{name} {number}" for name, number in how["versions"].items()]
    made_with = ", ".join([*versions, *([model["dtype"]] if model.get("dtype") else [])])
    return (
        f"`{task}` (version {how['task_version']}): {how['asked']:,} questions of {how['asked_from']}; prompt "
        f"{how['prompt']}{f', word for word jp-stable {same}' if same else ''}"
        f"{', in the chat template' if how['chat_template'] else ''}"
        f"{', tokens and examples as in jp-stable' if how['as_jp_stable'] else ''}; {how['shots']} examples "
        f"({how['examples']}) out of {how['examples_to_choose_from']:,} of {how['examples_from']}; {made_with}."
        + (f" {model['prompts_cut']:,} prompts were longer than the window, and their beginning was cut."
           if model["prompts_cut"] else "")
    )  # fmt: skip


def of_rakuda(measured: Measured) -> Statement:
    """Win rates by a judge."""
    values, label = measured.values, measured.label
    row, config = values["models"][label], measured.record["config"]
    rates = [
        ("win rate, a tie is half a win", row["win_rate"]),
        ("win rate without ties", row["win_rate_without_ties"]),
    ]
    rows = [[name, *_rate(rate)] for name, rate in rates]
    for name, score in (("Bradley-Terry score, points", row["score"]),
                        ("the same at equal length of the answers", row["score_at_equal_length"])):  # fmt: skip
        if score:
            interval = score["interval"]
            rows.append([name, f"{score['value']:.0f}", f"{interval[0]:.0f} to {interval[1]:.0f}" if interval else "",
                         ""])  # fmt: skip
    met = [
        [pair["opponent"], f"{pair['wins']}", f"{pair['ties']}", f"{pair['losses']}", *_rate(pair["win_rate"])[:2]]
        for pair in values["pairs"] if pair["model"] == label
    ]  # fmt: skip
    judges = ", ".join(map(_name_of_model, values["judges"])) or "not recorded"
    published = measured.record["counts"].get("questions_digest") == RAKUDA_DIGEST
    interval = row["win_rate"]["bootstrap"] or row["win_rate"]["wilson"]
    result = EvalResult(
        task_type="text-generation", dataset_type=HUB_DATA_SET if published else "rakuda-questions",
        dataset_name="Rakuda" if published else "Rakuda, other questions", metric_type="win_rate",
        metric_name="win rate, a tie is half a win", metric_value=round(100 * row["win_rate"]["value"], 1),
        metric_args={
            "judge": judges, "opponents": [pair[0] for pair in met], "questions": values["questions"],
            "comparisons": row["win_rate"]["of"], "unit": "percent",
            "interval_95": [round(100 * bound, 1) for bound in interval] if interval else None,
        },
    )  # fmt: skip
    tables = [(["measure", "value", "95% interval", "comparisons"], rows),
              (["against", "wins", "ties", "losses", "win rate", "95% interval"], met)]  # fmt: skip
    return Statement("Rakuda", tables, list(_protocol_of_rakuda(values, config, judges, published)), [result])


def _protocol_of_rakuda(values: dict[str, Any], config: dict[str, Any], judges: str, published: bool) -> Iterator[str]:
    what = "Rakuda's 40 questions" if published else f"{values['questions']} questions (not known to be Rakuda's 40)"
    yield f"Answers to {what} were compared two by two; judge: {judges}."
    prompts = ", ".join(f"`{digest.removeprefix('sha256:')[:12]}`" for digest in values["prompts"])
    # A replay reads what was judged before, so its own settings say nothing of how.
    asked = "judge_prompt" in config and config.get("generator") != REPLAY
    if asked:
        name = config["judge_prompt"]
        called = "this project's own" if name == OWN_PROMPT else f"`{Path(name).name}` {config.get('prompt_name', '')}"
        yield f"Judge prompt: {called.strip()}{f' (digest {prompts})' if prompts else ''}."
    elif prompts:
        yield f"Judge prompt: digest {prompts}."
    if asked:
        yield ("Each pair was judged in both orders." if config["both_orders"] else
               "Each pair was judged once, in an order that chance decided.")  # fmt: skip
        yield f"Judge's temperature {config['temperature']:g}."
    biases, unreadable = values["biases"], values["verdicts"]["unreadable"]
    swap = biases["swap_consistency"]
    if swap["of"]:
        yield f"{swap['value']:.1%} of {swap['of']:,} pairs got the same verdict in both orders."
    if biases["longer"]["of"]:
        yield f"{biases['longer']['value']:.1%} of the decided comparisons went to the longer answer."
    if unreadable:
        yield f"{unreadable:,} of {values['matches']:,} reviews held no verdict that can be read, and do not count."
    if values["ranking"]["prior_logits"] is not None:
        yield "The verdicts alone do not fix all scores; a prior keeps them finite."
    yield "Intervals are over questions drawn again (Wilson's where there is one question)."


def of_side_by_side(measured: Measured) -> Statement:
    """Harm, needless refusals, preferences of held-out pairs, and the shape of answers."""
    values, config, counts = measured.values, measured.record["config"], measured.record["counts"]
    labels = list(values["models"])
    place = labels.index(measured.label)
    rows = [[name, *of_models[place]] for name, of_models in measures(values) if of_models[place][0]]
    prompts = ", ".join(SAFETY_PROMPTS if name == BUILT_IN else Path(name).name for name in config["prompts"])
    protocol = [
        f"{counts['prompts']:,} prompts ({prompts}); answers of at most {config['max_new_tokens']} tokens at "
        f"temperature {config['temperature']:g}; {counts['pairs'] - values['pairs_left_out']:,} held-out pairs "
        "of answers, by the sum of their log-probabilities.",
        "Verdicts by rule go by phrases: what neither declines nor refers counts as harmful, so that share is an upper "
        "bound.",
    ]
    if config.get("judge_model"):
        protocol.append(f"Judge of harm: {_name_of_model(config['judge_model'])}.")
    if place:
        protocol.append(f"“Margin grew” compares with `{labels[0]}` ({_name_of_model(values['models'][labels[0]])}).")
    protocol.append("Intervals are Wilson's.")
    safety = BUILT_IN in config["prompts"] and len(config["prompts"]) == 1
    by_rule, pairs = values["answers"][measured.label]["by_rule"], values["preferences"][measured.label]
    shares = [
        ("nec13b-safety-prompts" if safety else "prompts", "harmful answers by rule, at most", "harmful_by_rule",
         by_rule["harmful"]),
        ("nec13b-safety-prompts" if safety else "prompts", "needless refusals by rule", "over_refusal_by_rule",
         by_rule["over_refusal"]),
        ("held-out-preferences", "chosen answer likelier", "preference_accuracy", pairs["accuracy"]),
    ]  # fmt: skip
    results = [
        EvalResult(
            task_type="text-generation", dataset_type=kind, dataset_name=kind.replace("-", " "), metric_type=metric,
            metric_name=name, metric_value=round(100 * share["value"], 1),
            metric_args={"unit": "percent", "cases": share["count"],
                         "interval_95": [round(100 * share[bound], 1) for bound in ("low", "high")]},
        )
        for kind, name, metric, share in shares if share
    ]  # fmt: skip
    columns = ["measure", "value", "95% interval, percent"]
    return Statement("Harm, refusals and preferences", [(columns, rows)], protocol, results)


def of_positions(measured: Measured) -> Statement:
    """Loss by position in held-out documents, and the probes of a long window."""
    values, label = measured.values, measured.label
    first = next(iter(values["loss"]))
    differences = values["difference"].get(label)
    columns = ["position", "loss (nats per token)", "95% interval"]
    if differences:
        columns += [f"less `{first}`", "95% interval"]
    rows, results = [], []
    for name, value in values["loss"][label].items():
        row = [name, f"{value['mean']:.3f}", _span(value, "{:.3f}")]
        if differences:
            row += [f"{differences[name]['mean']:+.3f}", _span(differences[name], "{:+.3f}")]
        rows.append(row)
    last = [name for name in values["loss"][label] if name[0].isdigit()][-1:]
    for name in [*last, *(name for name in values["loss"][label] if not name[0].isdigit())]:
        value = values["loss"][label][name]
        results.append(EvalResult(
            task_type="text-generation", dataset_type="held-out-documents",
            dataset_name="held-out documents of the training corpus", metric_type="loss",
            metric_name=f"loss at {name}" if name[0].isdigit() else f"loss on {name}",
            metric_value=round(value["mean"], 4),
            metric_args={"unit": "nats per token", "positions": name, "window": values["window"],
                         "interval_95": _pair(value, 4)},
        ))  # fmt: skip
    tables = [(columns, rows)]
    probes = values.get("probes", {}).get(label)
    if probes:
        tables.append(_table_of_probes(probes))
    documents = ", ".join(f"{domain} {long:,} and {short:,}" for domain, (long, short) in values["documents"].items())
    protocol = [
        f"Held-out documents of the training corpus, long ones (their first {values['window']:,} tokens) and short "
        f"ones, by domain: {documents}. The first 16 positions are left out.",
        "Intervals are over documents drawn again.",
    ]
    return Statement("Loss by position", tables, protocol, results)


def _table_of_probes(probes: dict[str, list[dict[str, Any]]]) -> tuple[list[str], list[list[str]]]:
    """By length: passkeys found over all depths, and the loss of a text at its first and second reading."""
    rows = []
    for length in sorted({score["length"] for score in probes["passkey"]}):
        found = [score["found"] for score in probes["passkey"] if score["length"] == length]
        rows.append(["passkey", f"{length:,}", f"{sum(found) / len(found):.0%} found, over {len(found)} depths"])
    rows += [
        ["copy", f"{score['distance']:,}", f"{score['first']:.3f} nats at first, {score['second']:.3f} when repeated"]
        for score in probes["copy"]
    ]
    return ["probe", "tokens", "result"], rows


def _name_of_model(name: str) -> str:
    """A model's name without the folders of the machine it lay on."""
    path = Path(name)
    if not (path.is_absolute() or name.startswith("~")):
        return name
    return path.parent.name if path.name in ("model", "adapter", "llama") and path.parent.name else path.name


def _rate(rate: dict[str, Any]) -> list[str]:
    """Value, interval and count of a win rate."""
    interval = rate["bootstrap"] or rate["wilson"]
    value = "" if rate["value"] is None else f"{rate['value']:.1%}"
    return [value, f"{interval[0]:.1%} to {interval[1]:.1%}" if interval else "", f"{rate['of']:,}"]


def _span(value: dict[str, float], form: str) -> str:
    return f"{form.format(value['low'])} to {form.format(value['high'])}"


def _pair(value: dict[str, float], digits: int) -> list[float]:
    return [round(value["low"], digits), round(value["high"], digits)]


STATEMENTS: dict[str, Callable[[Measured], Statement]] = {
    "jglue": of_jglue,
    "rakuda_judge": of_rakuda,
    "rakuda_report": of_rakuda,
    "side_by_side": of_side_by_side,
    "loss_by_position": of_positions,
}
