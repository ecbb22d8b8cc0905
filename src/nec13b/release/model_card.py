"""The model card, written from the run records of all stages: what the model is, of what it was made and how.

It says what the records say and no more. What no record can know, for what the model is meant and what its limits are,
is a text of those who trained it (`limits`); where there is none, the card says so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import ModelCardData

from .card_text import limits_section
from .evaluations import Evaluation
from .markdown_table import markdown_table
from .stage_records import StageRecord

TRAINING_STAGES = ("pretrain", "extend_context", "chat_tune", "align")
UNSAID = (
    "Those who trained this model have not said for what it is meant and where it fails. It may say what is wrong, "
    "harmful or offensive. Try it on your own task before you rely on it."
)


@dataclass(frozen=True)
class CardFacts:
    """What the card says beside the records.

    Attributes:
        title: what the model is called.
        parameters, window, vocabulary: of its shape.
        forms: in which it is published here.
        licence: of the weights, or empty.
        languages: codes.
        chats: whether its tokenizer has a chat template.
        limits: Markdown on intended use and limits, or empty.
        repository: where it will lie, for the examples.
    """

    title: str
    parameters: int
    window: int
    vocabulary: int
    forms: list[str]
    licence: str
    languages: list[str]
    chats: bool
    limits: str
    repository: str


def model_card(facts: CardFacts, records: list[StageRecord], evaluations: Sequence[Evaluation] = ()) -> str:
    """The text of README.md: metadata for the Hub, then what a person reads.

    Args:
        facts: what no record says.
        records: of the stages, in the order in which they ran.
        evaluations: of this model.
    """
    results = [result for each in evaluations for result in each.statement.results]
    metadata = ModelCardData(
        language=facts.languages,
        license=facts.licence or None,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["nec13b", *(["conversational"] if facts.chats else [])],
        model_name=facts.title if results else None,
        eval_results=results or None,
    )
    parts = [f"---\n{metadata.to_yaml()}\n---", f"# {facts.title}", _what_it_is(facts), *_use(facts)]
    parts += [
        *_data(records),
        *_training(records),
        *_losses(records),
        *_evaluations(evaluations),
        *limits_section(facts.limits, facts.licence, UNSAID, "No licence was stated."),
        *_origin(records),
    ]
    return "\n\n".join(parts) + "\n"


def _what_it_is(facts: CardFacts) -> str:
    kind = "A chat model" if facts.chats else "A language model"
    return (
        f"{kind} of {facts.parameters / 1e6:,.1f}M parameters ({facts.parameters:,}), of the shape of LLaMA, with a "
        f"window of {facts.window:,} tokens and a vocabulary of {facts.vocabulary:,}. It was made with nec13b, which "
        "rebuilds the pipeline of NEC's 13B Japanese model; it is not a model of NEC."
    )


def _use(facts: CardFacts) -> Iterator[str]:
    yield "## Use"
    name = facts.repository
    trusted = "" if "llama" in facts.forms else ", trust_remote_code=True"
    lines = ["from transformers import AutoModelForCausalLM, AutoTokenizer", "",
             f'tokenizer = AutoTokenizer.from_pretrained("{name}")',
             f'model = AutoModelForCausalLM.from_pretrained("{name}"{trusted})']  # fmt: skip
    if facts.chats:
        lines += ['messages = [{"role": "user", "content": "こんにちは。"}]',
                  "inputs = tokenizer.apply_chat_template(",
                  '    messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)']  # fmt: skip
    else:
        lines += ['inputs = tokenizer("昔、ある村に", return_tensors="pt")']
    lines += ["output = model.generate(**inputs, max_new_tokens=100)[0, inputs['input_ids'].shape[1] :]",
              "print(tokenizer.decode(output, skip_special_tokens=True))"]  # fmt: skip
    yield "```python\n" + "\n".join(lines) + "\n```"
    if "llama" in facts.forms:
        yield f"vLLM serves it with `vllm serve {name}`."
    if "gguf" in facts.forms:
        yield "llama.cpp runs `model.gguf`: `llama-server -m model.gguf`."
    if facts.chats:
        yield "Dialogues are ChatML; the tokenizer's template renders them, and an answer ends with `<|im_end|>`."


def _data(records: list[StageRecord]) -> Iterator[str]:
    streams = _latest(records, "counts", "streams")
    made = {str(record.folder) for record in records}
    sources = [source for record in records for source in _sources(record, made)]
    if not streams and not sources:
        return
    yield "## Training data"
    if streams:
        kept = {name.removeprefix("train/"): c for name, c in streams.items() if name.startswith("train/")}
        epochs = _latest([r for r in records if r.stage == "pretrain"], "counts", "epochs") or {}
        rows = [[name, f"{c['documents']:,}", f"{c['tokens']:,}", f"{epochs[name]:.2f}" if name in epochs else ""]
                for name, c in sorted(kept.items())]  # fmt: skip
        yield markdown_table(["domain", "documents", "tokens", "epochs of pre-training"], rows)
    if sources:
        unique = {tuple(row): row for row in sources}
        yield markdown_table(["stage", "source", "licence"], list(unique.values()))


def _sources(record: StageRecord, made: set[str]) -> Iterator[list[str]]:
    """Sources of text that a record names, with their licences; not the artifacts of other stages."""
    for key in ("corpus", "dialogues", "seeds", "preferences"):
        entries = record.get("inputs", key)
        if not isinstance(entries, list):  # a fingerprint; the settings name the entries themselves
            entries = record.get("config", key) or []
        for entry in entries if isinstance(entries, list) else [entries]:
            if isinstance(entry, str):
                location, *options = entry.split(",")
                entry = {"location": location} | dict(o.split("=", 1) for o in options if "=" in o)
            location = entry.get("location", "") if isinstance(entry, dict) else ""
            if location and str(Path(location).resolve()) not in made:
                of_hub = location.startswith("hub:") or location == "sample"
                name = location if of_hub else entry.get("label") or Path(location).name
                licence = entry.get("licence") or ("Apache-2.0" if name == "sample" else "not stated")
                name = "the sample of nec13b" if name == "sample" else name
                yield [record.name, name, licence]


def _training(records: list[StageRecord]) -> Iterator[str]:
    rows = []
    for record in records:
        if record.stage not in TRAINING_STAGES:
            continue
        tokens, seconds = record.get("counts", "tokens"), record.get("timings_seconds", "training")
        if record.get("machine", "resumed_from"):  # what was measured is its last part alone
            seconds = None
        rows.append([
            record.name, f"{record.get('counts', 'steps', default=0):,}",
            f"{tokens:,}" if tokens else "", f"{record.get('config', 'learning_rate')}",
            _of_config(record, "tokens_per_batch", "rows_per_batch", "pairs_per_batch"), _of_config(
                record, "sequence_length", "max_length"),
            f"{record.get('machine', 'processes', default=1)} x {record.get('machine', 'device', default='?')}",
            f"{seconds / 3600:.2f}" if seconds else "",
        ])  # fmt: skip
    if rows:
        yield "## Training"
        yield markdown_table(
            ["stage", "steps", "tokens", "learning rate", "batch", "sequence", "processes", "hours"], rows
        )
        yield "A batch is counted in tokens in pre-training, in rows later. All settings stand in `stages.json`."


def _of_config(record: StageRecord, *names: str) -> str:
    return next((f"{value:,}" for name in names if isinstance(value := record.get("config", name), int)), "")


def _losses(records: list[StageRecord]) -> Iterator[str]:
    rows = []
    for record in records:
        before = record.get("metrics", "held_out_loss_at_start", default={})
        for domain, loss in sorted(record.get("metrics", "held_out_loss", default={}).items()):
            start = f"{before[domain]:.3f}" if domain in before else ""
            rows.append([record.name, domain, start, f"{loss:.3f}"])
    if rows:
        yield "## Held-out loss"
        yield markdown_table(["stage", "text", "before (nats per token)", "after"], rows)


def _evaluations(evaluations: Sequence[Evaluation]) -> Iterator[str]:
    if evaluations:
        yield "## Evaluation"
    for each in evaluations:
        yield f"### {each.statement.title}"
        for columns, rows in each.statement.tables:
            if rows:
                yield markdown_table(columns, rows)
        yield "\n".join(f"- {sentence}" for sentence in (*each.statement.protocol, each.note))


def _origin(records: list[StageRecord]) -> Iterator[str]:
    if not records:
        return
    yield "## How it was made"
    rows = [
        [r.name, f"`recipes/{r.stage}.py`", str(r.get("started", default=""))[:10],
         f"`{str(r.get('git_commit', default='') or 'unknown')[:12]}`", r.get("versions", "transformers", default="")]
        for r in records
    ]  # fmt: skip
    yield markdown_table(["stage", "recipe", "day", "commit", "transformers"], rows)


def _latest(records: list[StageRecord], *path: str):
    return next((value for record in reversed(records) if (value := record.get(*path))), None)
