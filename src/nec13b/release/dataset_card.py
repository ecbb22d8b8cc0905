"""The card of a data set, written from the record and the report of its making: sources, licences, filters, counts.

It says what these say and no more, and no path of the machine on which the data was made. What no record can know, for
what the data may be used and where it is lacking, is a text of those who publish it (`limits`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import DatasetCardData

from ..corpus.personal_data import MARKS
from .card_text import limits_section
from .dataset_files import CORPUS, DIALOGUES, PREFERENCES, RECIPES, DatasetFolder
from .markdown_table import markdown_table

WHAT_ROWS_ARE = {CORPUS: "documents", DIALOGUES: "dialogues", PREFERENCES: "preferences"}
ENTRIES = {CORPUS: "corpus", DIALOGUES: "dialogues", PREFERENCES: "preferences"}  # the setting that names the sources
OWN_SAMPLE = "the sample of nec13b"
UNSTATED = "not stated"
UNSAID = (
    "Those who publish this data have not said for what it is meant and where it is lacking. It may hold what is "
    "wrong, harmful, offensive or private. Look into it before you rely on it."
)
UNLICENSED = "No licence was stated for the whole; each row has that of its source, where one was stated."
SIZES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
# Settings of the checks of dialogues and preferences that are no paths.
CHECK_SETTINGS = (
    "skip_checks", "max_dialogue_characters", "max_dialogue_tokens", "languages", "min_language_characters",
    "min_language_probability", "personal_data", "near_similarity", "held_out_fraction",
)  # fmt: skip


@dataclass(frozen=True)
class DatasetFacts:
    """What the card says beside the records.

    Attributes:
        title: what the data set is called.
        licence: of the whole, or empty.
        languages: codes; empty: those that the making let in.
        limits: Markdown on intended use and limits, or empty.
        repository: where it will lie, for the example.
    """

    title: str
    licence: str
    languages: list[str]
    limits: str
    repository: str


def dataset_card(facts: DatasetFacts, source: DatasetFolder) -> str:
    """The text of README.md: metadata for the Hub and for `load_dataset`, then what a person reads."""
    counts = source.counts()
    metadata = DatasetCardData(
        language=facts.languages or list(source.record.get("config", "languages", default=[])),
        license=facts.licence or None,
        pretty_name=facts.title,
        task_categories=["text-generation"],
        size_categories=[size_category(sum(counts.values()))],
        tags=["nec13b"],
        configs=[{
            "config_name": "default",
            "data_files": [{"split": split, "path": pattern} for split, pattern in source.patterns().items()],
        }],
        dataset_info={"features": source.columns},
    )  # fmt: skip
    parts = [f"---\n{metadata.to_yaml()}\n---", f"# {facts.title}", _what_it_is(source), *_use(facts, source)]
    parts += _of_corpus(source) if source.kind == CORPUS else _of_rows(source)
    parts += [*limits_section(facts.limits, facts.licence, UNSAID, UNLICENSED), *_origin(source)]
    return "\n\n".join(parts) + "\n"


def size_category(rows: int) -> str:
    """How the Hub calls a number of rows: `1K<n<10K`."""
    limits = [1_000 * 10**power for power in range(len(SIZES))]
    place = sum(rows >= limit for limit in limits)
    if place == 0:
        return f"n<{SIZES[0]}"
    return f"n>{SIZES[-1]}" if place == len(SIZES) else f"{SIZES[place - 1]}<n<{SIZES[place]}"


def _what_it_is(source: DatasetFolder) -> str:
    counts, things = source.counts(), WHAT_ROWS_ARE[source.kind]
    said = ", ".join(f"{count:,} in `{split}`" for split, count in counts.items())
    if source.kind == CORPUS:
        kept = source.report["kept"]
        how = "counted" if source.record.get("config", "tokenizer") else "estimated from characters"
        said += f"; {kept['characters']:,} characters, {kept['tokens']:,} tokens ({how})"
    return (
        f"{sum(counts.values()):,} {things}: {said}. Made with nec13b, which rebuilds the pipeline of NEC's 13B "
        "Japanese model; it is not a data set of NEC."
    )


def _use(facts: DatasetFacts, source: DatasetFolder) -> Iterator[str]:
    yield "## Use"
    yield (
        "```python\nfrom datasets import load_dataset\n\n"
        f'rows = load_dataset("{facts.repository}", split="{next(iter(source.counts()))}", streaming=True)\n'
        "print(next(iter(rows)))\n```"
    )
    if source.kind == CORPUS:
        yield (
            "A row is a document: `text`, its `domain`, the label of its `source`, its `licence`; `quality` is what "
            "the learned filter gave it, `cut_lines` and `masked` say what was taken out of it. Long documents lie in "
            "files of their own (`long/`)."
        )
    elif source.kind == DIALOGUES:
        yield "A row is a dialogue in `messages`, each with `role` and `content`."
    else:
        yield "A row is a `prompt` with a `chosen` and a `rejected` answer, as lists of messages; trl reads it so."


def _of_corpus(source: DatasetFolder) -> Iterator[str]:
    report, config = source.report, source.record.get("config", default={})
    yield "## Contents"
    parts: dict[tuple[str, str, str], list[int]] = {}
    for part in report["kept"]["parts"]:
        total = parts.setdefault((part["domain"], part["source"], part["split"]), [0, 0, 0])
        for i, name in enumerate(("documents", "characters", "tokens")):
            total[i] += part[name]
    yield markdown_table(
        ["domain", "source", "split", "documents", "characters", "tokens"],
        [[*key, *(f"{number:,}" for number in total)] for key, total in sorted(parts.items())],
    )
    yield from _licences(report["licences"], report["kept"]["documents"])
    kept_of = {label: sum(total[0] for (_, of, _), total in parts.items() if of == label) for _, label, _ in parts}
    entries = {entry["label"]: entry for entry in _entries(source)}
    rows = [
        [label, *_place_and_licence(entries.get(label, {})), f"{read['documents']:,}", f"{kept_of.get(label, 0):,}"]
        for label, read in report["read"]["sources"].items()
    ]
    yield "## Sources"
    yield markdown_table(["source", "from", "licence of the source", "documents read", "kept"], rows)
    if unreadable := report["unreadable"]:
        said = ", ".join(f"{reason} ({count:,})" for reason, count in unreadable.items())
        yield f"What could not be read was set aside: {said}."
    yield "## Cleaning"
    what = _what_steps_drop(config, report)
    yield markdown_table(
        ["step", "drops", "documents dropped", "left"],
        [[row["step"], what[row["step"]], f"{row['documents']:,}", f"{row['left']:,}"] for row in report["funnel"]],
    )
    if rules := report["reasons"].get("rules"):
        counts = sorted(((rule, sum(by.values())) for rule, by in rules.items()), key=lambda item: -item[1])
        rules_of = f"`{Path(config['rules']).name}`" if config.get("rules") else "nec13b's own"
        yield f"Rules ({rules_of}), by the documents that each dropped first:"
        yield markdown_table(["rule", "documents"], [[f"`{rule}`", f"{count:,}"] for rule, count in counts])
    changed = report["changed"]
    said = [
        f"{changed[name]['count']:,} {what} in {changed[name]['documents']:,} documents"
        for name, what in (("cut_lines", "lines of navigation and notices were cut"),) if name in changed
    ]  # fmt: skip
    if "repaired_encoding" in changed:
        said.append(f"{changed['repaired_encoding']['documents']:,} documents had their encoding repaired")
    if said:
        yield f"Text was put into Unicode's form C; {'; '.join(said)}."
    yield from _mixture(report["mixture"])
    yield "## Personal data"
    if config.get("mask_personal_data"):
        kinds = {name.removeprefix("masked_"): row["count"] for name, row in changed.items() if name in _MASKED}
        yield _masked(kinds)
    else:
        yield "Personal data was not looked for."


_MASKED = {f"masked_{kind}" for kind in MARKS}


def _what_steps_drop(config: dict[str, Any], report: dict[str, Any]) -> dict[str, str]:
    """What each step of a cleaning drops, with its settings."""
    thresholds = ", ".join(f"{domain} {value:.2f}" for domain, value in report["thresholds"].items())
    items, off = report["items_looked_for"], "not asked for"
    files = ", ".join(Path(name).name for name in config.get("decontaminate", []))
    return {
        "broken_encoding": f"more than {config['max_broken_share']:.0%} of its characters come of a wrong encoding",
        "empty": "nothing is left after normalisation",
        "language": f"in another language than {', '.join(config['languages'])}",
        "boilerplate": "nothing but navigation and notices" if config["cut_boilerplate"] else off,
        "rules": "breaks a rule of its domain",
        "quality": f"below the threshold of the learned filter ({thresholds})" if thresholds else off,
        "exact_duplicates": "the same text as an earlier document",
        "near_duplicates": (
            f"nearly the same as an earlier one (MinHash, {config['minhash_bands']} bands of {config['minhash_rows']}, "
            f"likeness from {config['near_similarity']:g} on)" if config["near_duplicates"] else off
        ),
        "repeated_lines": (
            f"too short without lines that {config['repeated_line_documents']} documents of its site share"
            if config["repeated_line_documents"] else off
        ),
        "decontamination": f"holds one of {items['searchable']:,} evaluation items ({files})" if items else off,
    }  # fmt: skip


def _mixture(mixture: dict[str, Any]) -> Iterator[str]:
    if not mixture.get("sources"):
        return
    yield "## Mixture"
    shares = ", ".join(f"{domain} {share:.0%}" for domain, share in mixture["proportions"].items())
    yield (
        f"Planned for a training of {mixture['wanted_tokens']:,} tokens with these shares of tokens: {shares}. The "
        "files hold every document once; how often a training is to go through each source:"
    )
    rows = [[entry["domain"], entry["source"], f"{entry['share']:.1%}", f"{entry['epochs']:.2f}"]
            for entry in mixture["sources"]]  # fmt: skip
    yield markdown_table(["domain", "source", "share of the training", "passes"], rows)


def _of_rows(source: DatasetFolder) -> Iterator[str]:
    """The sections on dialogues or preferences."""
    report, config, things = source.report, source.record.get("config", default={}), WHAT_ROWS_ARE[source.kind]
    entries = {entry.get("label"): entry for entry in _entries(source)}
    yield "## Contents"
    rows = [
        [row["source"], *_place_and_licence(entries.get(row["source"], {})),
         *(f"{row[name]:,}" for name in ("train", "held_out", "set_aside"))]
        for row in report["sources"]
    ]  # fmt: skip
    yield markdown_table(["source", "from", "licence of the source", "train", "held_out", "set aside"], rows)
    yield from _licences(report["licences"], sum(source.counts().values()))
    yield "## Checks"
    if report["reasons"]:
        reasons = [[reason, f"{sum(by.values()):,}"] for reason, by in report["reasons"].items()]
        yield f"{report['set_aside']:,} {things} or rows were set aside and are not in this data set:"
        yield markdown_table(["reason", things], reasons)
    else:
        yield "Nothing was set aside."
    settings = {name: config[name] for name in CHECK_SETTINGS if name in config}
    said = ", ".join(f"`{name}` {_value(value)}" for name, value in settings.items())
    yield f"Settings: {said}."
    if bias := report.get("length_bias"):
        longer = bias["longer_wins"]
        yield (
            f"Length bias: choosing the longer answer is right for {longer['accuracy']:.1%} of the pairs (95% interval "
            f"{longer['low']:.1%} to {longer['high']:.1%}); chosen answers have {bias['mean_chosen']:,.0f} characters, "
            f"rejected ones {bias['mean_rejected']:,.0f}."
        )
    if source.with_provenance:
        yield "`provenance` says how a row came about: by which model, from what, and who decided."
    yield "## Personal data"
    how = config.get("personal_data")
    if how == "mask":
        yield _masked(report["masked"])
    elif how == "set_aside":
        yield f"{things.capitalize()} with mail addresses or with phone, postal or card numbers were set aside."
    else:
        yield "Personal data was not looked for."


def _licences(licences: dict[str, int], rows: int) -> Iterator[str]:
    """How many rows are under which licence."""
    unstated = rows - sum(licences.values())
    counts = [*licences.items(), *([(UNSTATED, unstated)] if unstated else [])]
    yield markdown_table(["licence of the rows", "rows"], [[name, f"{count:,}"] for name, count in counts])


def _entries(source: DatasetFolder) -> list[dict[str, Any]]:
    entries = source.record.get("inputs", ENTRIES[source.kind], default=[])
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _place_and_licence(entry: dict[str, Any]) -> list[str]:
    """Where a source is from, without paths of a machine, and its licence as it was stated."""
    location = str(entry.get("location", ""))
    if location == "sample":
        place = OWN_SAMPLE
    elif location.startswith("hub:"):
        place = location.removeprefix("hub:") + (f", {entry['name']}" if entry.get("name") else "")
    else:
        place = "local files" if location else "an earlier stage"
    return [place, entry.get("licence") or ("as its rows say" if place == OWN_SAMPLE else UNSTATED)]


def _masked(kinds: dict[str, int]) -> str:
    marks = ", ".join(MARKS.values())
    said = ", ".join(f"{count:,} of {kind.replace('_', ' ')}" for kind, count in kinds.items()) or "none were found"
    return (
        f"Mail addresses, phone numbers, postal codes and card numbers were replaced by marks ({marks}): {said}. They "
        "are found by patterns that rather miss one than take a date or a price for one. Names of persons, street "
        "addresses and whatever else may identify somebody were not looked for."
    )


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else f"{value}"


def _origin(source: DatasetFolder) -> Iterator[str]:
    record = source.record
    yield "## How it was made"
    commit = str(record.get("git_commit", default="") or "unknown")[:12]
    versions = ", ".join(
        f"{name} {number}" for name, number in record.get("versions", default={}).items()
        if name in ("python", "nec13b", "datatrove", "fasttext-numpy2", "py3langid", "trafilatura", "tokenizers")
    )  # fmt: skip
    yield f"`{RECIPES[source.kind]}` on {str(record.get('started', default=''))[:10]}, commit `{commit}`; {versions}."
