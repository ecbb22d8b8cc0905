"""`--explain`: what every step of the cleansing says of one text, whether or not an earlier step would drop it."""

from pathlib import Path

from ..errors import InputError
from .blocks import rules_for
from .boilerplate import boilerplate_spans, cut_spans
from .cleaning_config import CleanCorpusConfig, CleaningInputs
from .documents import CODE, Rejections
from .file_formats import kind_of_file
from .languages import identify_language
from .mojibake import repair_mojibake
from .normalisation import normalise
from .personal_data import mask_personal_data
from .reading import read_part
from .rules import RuleSet, Verdict
from .sources import Source, parse_sources, parts_of

SHOWN = 3  # stretches of a broken rule
SHOWN_CHARACTERS = 60


def explain_file(entry: str, config: CleanCorpusConfig) -> str:
    """A page of plain text about one text.

    Args:
        entry: a file as `--corpus` takes it, with options after commas: text, source code, an HTML page, or JSONL, WARC
            or Parquet, of which the first document is taken. A file of any other name is read as text.
        config: the settings; the corpus they name is not looked at.

    Raises:
        InputError: there is no text in it, or something the settings name cannot be used.
    """
    inputs = CleaningInputs.load(config, with_corpus=False)
    text, domain = _text_of(Source.parse(entry), config)
    return "\n".join([f"{entry}: {len(text):,} characters", "", *_explained(text, domain, config, inputs)])


def _text_of(source: Source, config: CleanCorpusConfig) -> tuple[str, str]:
    """(text, domain, which is empty where nobody says it)."""
    path = Path(source.location).expanduser()
    if not path.is_file():
        raise InputError(f"cannot read {path}: there is no such file")
    if not kind_of_file(path):
        try:
            return path.read_text(encoding="utf-8-sig"), source.domain
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {path} as text: {error}") from None
    rejections = Rejections()
    (part,) = parts_of(parse_sources([source]))
    for document in read_part(part, rejections, config.max_document_characters, guess_domain=lambda text: ""):
        return document.text, document.domain
    raise InputError(f"there is no text in {path}" + (f": {rejections}" if rejections.counts else ""))


def _explained(text: str, domain: str, config: CleanCorpusConfig, inputs: CleaningInputs) -> list[str]:
    lines, dropped = [], []

    def say(step: str, passed: bool, what: str) -> None:
        lines.append(f"{'  ok  ' if passed else 'DROPS '} {step:<30} {what}")
        if not passed:
            dropped.append(f"{step}: {what}")

    language = ""
    if domain == CODE:
        say("source code", True, "is left as it is; only its rules are asked")
    else:
        text, share = repair_mojibake(text)
        say("broken encoding", share <= config.max_broken_share,
            f"{share:.2%} of the characters, at most {config.max_broken_share:.2%}")  # fmt: skip
        normal = normalise(text)
        say("normalisation", bool(normal.strip()), "unchanged" if normal == text else f"{len(normal):,} characters")
        text = normal
        language, probability = identify_language(text)
        wanted = [domain] if domain in config.languages else config.languages
        sure = probability >= config.min_language_probability
        said = f"{language} with probability {probability:.2f}; wanted is {' or '.join(wanted)}"
        say("language", language in wanted and sure, said)
        domain = domain or language
        if config.cut_boilerplate:
            spans = boilerplate_spans(text, inputs.phrases)
            cut = [text[start:end].strip() for start, end in spans]
            text = cut_spans(text, spans).strip("\n")
            say("boilerplate", bool(text.strip()), f"{len(spans)} lines cut{_quoted(cut)}")
    rules = rules_for(inputs.rule_sets, domain, language)
    if rules is None:
        say("rules", True, f"there are none for {domain}")
    else:
        for verdict in rules.judge(text):
            say(verdict.name, verdict.passed, _verdict(verdict, rules, text))
    if domain in inputs.classifiers:
        classifier = inputs.classifiers[domain]
        score = classifier.clean_probability(text)
        say("learned filter", score >= classifier.threshold,
            f"probability of being clean {score:.3f}, at least {classifier.threshold:g}")  # fmt: skip
    if config.mask_personal_data and domain != CODE:
        _, masked = mask_personal_data(text)
        say("personal data", True, ", ".join(f"{count} {kind}" for kind, count in masked.items()) or "none")
    if inputs.items:
        found = inputs.items.find(text)
        names = [inputs.items.items[owner].name for _, _, owner, _ in found]
        say("evaluation items", not found, ", ".join(names[:SHOWN]) or "none")
    lines += ["", f"dropped by {dropped[0]}" if dropped else "kept, if it is no duplicate"]
    return lines


def _verdict(verdict: Verdict, rules: RuleSet, text: str) -> str:
    said = f"{verdict.value:.4g}, {verdict.bounds}"
    if verdict.passed:
        return said
    return said + _quoted([text[start:end] for start, end in rules.spans(verdict.name, text)])


def _quoted(stretches: list[str]) -> str:
    """The first few stretches of text, shortened, behind a colon."""
    if not stretches:
        return ""
    shown = [" ".join(stretch.split())[:SHOWN_CHARACTERS] for stretch in stretches[:SHOWN]]
    more = f" and {len(stretches) - SHOWN} more" if len(stretches) > SHOWN else ""
    return ": " + " | ".join(shown) + more
