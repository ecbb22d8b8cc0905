"""What the filters of the corpus cost, and what those of HojiChar and datatrove cost on the same documents.

python benchmarks/corpus_filters.py --japanese wiki.jsonl.gz docs.jsonl.gz --english en.jsonl.gz [--quality FOLDER]

Needs the extra nec13b[bench]. The contenders take turns on the same documents in the same process on one core, so the
ratio holds when the machine's speed drifts; the median of the rounds is given. Ours looks for HojiChar's words besides
its own. Writes two sections of RESULTS.md.
"""

import argparse
import html
import statistics
import tempfile
import time
import warnings
from importlib import metadata
from pathlib import Path

import hojichar
from datatrove.data import Document as Row
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.utils.typeshelper import Languages
from hojichar import document_filters as hoji
from results import machine, table, write_section

from nec13b.corpus import Rejections, parse_sources, read_documents
from nec13b.corpus.blocks import (
    ApplyRules,
    CheckLanguage,
    CutBoilerplate,
    MaskPersonalData,
    NormaliseText,
    RepairEncoding,
    RowWriter,
    ScoreQuality,
)
from nec13b.corpus.cleaning import STEPS
from nec13b.corpus.cleaning_config import TokenCounter
from nec13b.corpus.decontamination import DropContaminated, ItemIndex, read_items
from nec13b.corpus.duplicates import WriteTextHashes
from nec13b.corpus.near_duplicates import NearDuplicateSettings, WriteMinhashSignatures
from nec13b.corpus.phrases import load_phrase_lists
from nec13b.corpus.profile import TextProfile
from nec13b.corpus.quality import QualityClassifier
from nec13b.corpus.repeated_lines import CutRepeatedLines, FindRepeatedLines, WriteLineHashes
from nec13b.corpus.rules import load_rule_sets
from nec13b.corpus.tally import TallyPart
from nec13b.corpus.web_pages import PageReader
from nec13b.run_record import write_json

DICTIONARIES = Path(hojichar.__file__).parent / "dict"
LONGEST = 100_000  # characters: a novel would drown the pages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--japanese", nargs="+", default=["sample,domain=ja"])
    parser.add_argument("--english", nargs="+", default=["sample,domain=en"])
    parser.add_argument("--quality", help="folder of a classifier for Japanese, to be measured too")
    parser.add_argument("--items", nargs="*", default=[], help="files of evaluation items, to be looked for")
    parser.add_argument("--documents", type=int, default=400, help="most documents of each corpus entry")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    japanese = texts_of(options.japanese, options.documents)
    english = texts_of(options.english, options.documents)
    said = {"ja": " ".join(map(name_of, options.japanese)), "en": " ".join(map(name_of, options.english))}
    blocks_section(japanese, options, said["ja"])
    rivals_section(japanese, english, options, said)


def name_of(entry: str) -> str:
    return Path(entry.split(",")[0]).name.split(".")[0]


def texts_of(entries: list[str], most: int) -> list[str]:
    """The first documents of each entry, none of them a whole novel."""
    texts = []
    for entry in entries:
        documents = (d.text for d in read_documents(parse_sources(entry)) if len(d.text) < LONGEST)
        texts += [text for text, _ in zip(documents, range(most))]
    return texts


def megabytes(texts: list[str]) -> float:
    return sum(len(text.encode()) for text in texts) / 1e6


def rows_of(texts: list[str], language: str) -> list[Row]:
    return [Row(text, str(i), metadata={"domain": language, "language": language, "source": "x"})
            for i, text in enumerate(texts)]  # fmt: skip


def seconds(work, *arguments) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start


def run_step(step, rows: list[Row]) -> list[Row]:
    """What a block leaves."""
    return list(step.run(iter(rows)))


def blocks_section(texts: list[str], options: argparse.Namespace, said: str) -> None:
    """MB/s of each of our blocks, and of each rule by itself."""
    phrases = load_phrase_lists()
    rule_sets = load_rule_sets(phrases=phrases)
    steps = [
        ("broken encoding", RepairEncoding(0.01)),
        ("normalisation", NormaliseText()),
        ("language", CheckLanguage(["ja", "en"], 0.3)),
        ("boilerplate", CutBoilerplate(phrases)),
        ("rules", ApplyRules(rule_sets)),
        ("personal data", MaskPersonalData()),
    ]
    if options.quality:
        steps.insert(-1, ("learned filter", ScoreQuality({"ja": QualityClassifier.open(options.quality)})))
    rows, all_times, first = [], [0.0] * options.rounds, megabytes(texts)
    for name, step in steps:
        times = []
        for i in range(options.rounds):
            times.append(seconds(run_step, step, rows_of(texts, "ja")))
            all_times[i] += times[-1]
        rows.append([name, f"{megabytes(texts) / statistics.median(times):.0f}"])
        texts = [row.text for row in run_step(step, rows_of(texts, "ja"))]
    rows.append(["all of them, one after another", f"{first / statistics.median(all_times):.1f}"])
    others = [[name, f"{speed:.3g}"] for name, speed in other_steps(texts, options, rule_sets)]

    rules = rule_sets["ja"]
    profiles = [TextProfile(text, phrases) for text in texts]
    shared = seconds(lambda: [(p.counts, p.line_lengths, p.phrase_spans, p.sentence_lengths) for p in profiles])
    costs = [("characters by class, lines, sentences, phrases (shared by all rules)", shared)]
    costs += [(name, seconds(list, map(measure, profiles))) for name, measure, _, _ in rules.bounds]
    size = megabytes(texts)
    body = (
        f"`python benchmarks/corpus_filters.py --japanese ...` on {machine()}, one core; median of {options.rounds}; "
        f"{first:.1f} MB of Japanese ({said}, at most {options.documents} documents each). Each block has what the one "
        f"before it left.\n\n{table(['block', 'MB/s'], rows)}\n\nWhat comes before and after them, on the texts that "
        "reached the end (pages: the same texts, each in an HTML page with navigation above and below, MB/s of HTML):"
        f"\n\n{table(['step', 'MB/s'], others)}\n\nThe rules of Japanese, one by one, on the texts that "
        "reached the end:\n\n" + table(["measure", "MB/s"], [[name, f"{size / cost:,.0f}"] for name, cost in costs])
    )
    write_section("Corpus: what each block costs", body)


def other_steps(texts: list[str], options: argparse.Namespace, rule_sets: dict) -> list[tuple[str, float]]:
    """(name, MB/s) of the steps before and after the filters."""
    size = megabytes(texts)

    def speed(work, megabytes: float = size) -> float:
        return megabytes / statistics.median(seconds(work) for _ in range(options.rounds))

    def rows() -> list[Row]:
        made = rows_of(texts, "ja")
        for number, row in enumerate(made):
            site = f"site{number % 20}.example"
            row.metadata |= {"row": number, "url": f"https://{site}/", "site": site, "licence": "", "split": "train",
                             "length": "short"}  # fmt: skip
        return made

    pages = [page_of(text).encode() for text in texts]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines, found = folder / "lines", folder / "found"
        documents = RowWriter(folder / "documents", "${split}/${length}/${rank}.jsonl")
        write_json(folder / "read" / "00000.json", {"sources": {}, "unreadable": {}})
        steps = [
            ("exact hashes", lambda: WriteTextHashes(folder / "hashes", folder / "ids", 1).run(iter(rows()))),
            ("MinHash signatures", lambda: list(
                WriteMinhashSignatures(folder / "bands", folder / "signatures", NearDuplicateSettings()).run(
                    iter(rows()), 0, 1) or ())),
            ("hashes of lines", lambda: WriteLineHashes(lines, 1).run(iter(rows()))),
            ("search for repeated lines", lambda: FindRepeatedLines(lines, found, 10, 0.1).run()),
            ("cutting of repeated lines", lambda: run_step(CutRepeatedLines(found, 1, {}), rows())),
            ("writing rows", lambda: run_step(documents, rows())),
            ("tally", lambda: TallyPart(folder, folder, STEPS, rule_sets, TokenCounter("")).run()),
        ]  # fmt: skip
        if options.items:
            index = ItemIndex([item for path in options.items for item in read_items(path)])
            name = f"decontamination, {len(index.items):,} items"
            steps.insert(-2, (name, lambda: run_step(DropContaminated(index), rows())))
        with PageReader() as reader:
            extract = [
                (
                    "text out of HTML pages",
                    speed(
                        lambda: [reader.text(page, ("", None), Rejections()) for page in pages],
                        sum(map(len, pages)) / 1e6,
                    ),
                )
            ]
            return extract + [(name, speed(work)) for name, work in steps]  # fmt: skip


def page_of(text: str) -> str:
    """A page with the text in it."""
    navigation = "".join(f'<li><a href="/{word}">{word}</a></li>' for word in ("ホーム", "一覧", "検索", "連絡先"))
    paragraphs = "".join(f"<p>{html.escape(line)}</p>\n" for line in text.split("\n") if line.strip())
    return (
        f'<!doctype html><html lang="ja"><head><meta charset="utf-8"><title>頁</title></head><body>'
        f"<header><ul>{navigation}</ul></header><main><article><h1>頁</h1>{paragraphs}</article></main>"
        f"<footer><ul>{navigation}</ul></footer></body></html>"
    )


def our_words() -> object:
    """Our word lists with HojiChar's words added to them."""
    files = {
        "adult": "adult_keywords_ja.txt",
        "violence": "violence_keywords_ja.txt",
        "discrimination": "discrimination_keywords_ja.txt",
        "advertisement": "advertisement_keywords_ja.txt",
    }
    return load_phrase_lists({category: str(DICTIONARIES / name) for category, name in files.items()})


def our_chain(language: str, words) -> tuple:
    """(on every document, as a pipeline): our blocks with the rules asked in full, and as they are used."""
    rule_sets = load_rule_sets(phrases=words)
    steps = [RepairEncoding(0.01), NormaliseText(), CutBoilerplate(words), MaskPersonalData()]

    def everything(texts: list[str]) -> None:
        rows = rows_of(texts, language)
        for step in steps:
            rows = run_step(step, rows)
        for row in rows:
            rule_sets[language].judge(row.text)

    def pipeline(texts: list[str]) -> int:
        data = iter(rows_of(texts, language))
        for step in (*steps[:3], ApplyRules(rule_sets), steps[3]):
            data = step.run(data)
        return sum(1 for _ in data)

    return everything, pipeline


def hojichar_chain() -> tuple:
    """The same for HojiChar's filters of equal purpose, with the bounds of llm-jp-corpus where they are looser."""
    filters = [
        hoji.DocumentNormalizer(),
        hoji.DocumentLengthFilter(min_doc_len=100),
        hoji.AcceptJapanese(),
        hoji.DiscardRareKuten(max_average_sentence_length=250),
        hoji.DiscardTooShortLines(),
        hoji.DiscardTooManyEndingEllipsis(),
        hoji.DiscardTooManySpecialToken(),
        hoji.SingleCharacterRepetitionFilter(),
        hoji.CharRepetitionRatioFilter(),
        hoji.DiscardBBSComments(max_allowed_num=100),
        hoji.DiscardAds(),
        hoji.DiscardAdultContentJa(),
        hoji.DiscardViolenceContentJa(),
        hoji.DiscardDiscriminationContentJa(),
        hoji.MaskPersonalInformation(),
    ]
    compose = hojichar.Compose(filters)

    def everything(texts: list[str]) -> None:
        for text in texts:
            document = hojichar.Document(text)
            for step in filters:
                document = step.apply(document)

    def pipeline(texts: list[str]) -> int:
        return sum(bool(compose(text)) for text in texts)

    return everything, pipeline


def datatrove_chain(language: str) -> tuple:
    """The same for datatrove's Gopher, C4 and FineWeb filters."""
    code = {"ja": Languages.japanese, "en": Languages.english}[language]
    filters = [
        GopherRepetitionFilter(language=code),
        GopherQualityFilter(language=code),
        C4QualityFilter(filter_no_terminal_punct=False, language=code),
        FineWebQualityFilter(language=code),
    ]

    def everything(texts: list[str]) -> None:
        for row in rows_of(texts, language):
            for step in filters:
                step.filter(row)

    def pipeline(texts: list[str]) -> int:
        data = iter(rows_of(texts, language))
        for step in filters:
            data = step.run(data)
        return sum(1 for _ in data)

    return everything, pipeline


def rivals_section(japanese: list[str], english: list[str], options: argparse.Namespace, said: dict) -> None:
    """Ours against HojiChar on Japanese, and against datatrove's own filters on Japanese and English."""
    words = our_words()
    rows = []
    for language, texts, name, rival in (
        ("ja", japanese, f"HojiChar {metadata.version('hojichar')}", hojichar_chain()),
        ("ja", japanese, f"datatrove {metadata.version('datatrove')} Gopher + C4 + FineWeb", datatrove_chain("ja")),
        ("en", english, f"datatrove {metadata.version('datatrove')} Gopher + C4 + FineWeb", datatrove_chain("en")),
    ):
        ours = our_chain(language, words)
        both = [text for text in texts if ours[1]([text]) and rival[1]([text])]
        for way, index, chosen in (
            ("every filter on every document", 0, texts),
            ("as pipelines, which stop at the first rejection", 1, texts),
            ("as pipelines, on documents that both keep", 1, both),
        ):
            if not chosen:
                continue
            pairs = []
            for _ in range(options.rounds):
                pairs.append((seconds(ours[index], chosen), seconds(rival[index], chosen)))
            size = megabytes(chosen)
            mine, other = (size / statistics.median(side) for side in zip(*pairs))
            ratio = statistics.median(theirs / own for own, theirs in pairs)
            rows.append([name, language, way, f"{len(chosen):,}", f"{size:.1f}", f"{mine:.1f}", f"{other:.1f}",
                         f"**{ratio:.1f}x**"])  # fmt: skip
    body = (
        f"`python benchmarks/corpus_filters.py --japanese ... --english ...` on {machine()}, one core; medians of "
        f"{options.rounds} rounds in turns; Japanese: {said['ja']}, English: {said['en']}, at most {options.documents} "
        "documents each.\n\n"
        + table(["against", "language", "way", "documents", "MB", "ours MB/s", "theirs MB/s", "ratio"], rows)
        + "\n\nOurs are encoding repair, normalisation, boilerplate, 25 rules for Japanese (23 for English) and "
        "personal data, with HojiChar's word lists besides our own. HojiChar's are the 15 filters of equal purpose "
        "that need no word segmenter, datatrove's its four classes with the word tokenizer it has for the language."
    )
    write_section("Corpus: filters against HojiChar and datatrove", body)


if __name__ == "__main__":
    main()
