"""What annotators are told, beside the task: Markdown, one text a language."""

from pathlib import Path

from markdown_it import MarkdownIt
from markupsafe import Markup

from ..errors import InputError
from .interface_text import LANGUAGES

OWN = Path(__file__).with_name("guidelines")
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


def guidelines(setting: str, kind: str) -> dict[str, Markup]:
    """The guidelines as HTML, by language.

    Args:
        setting: a Markdown file for all languages, a folder with `ja.md` and `en.md` (one of them is enough), or empty
            for those of nec13b.
        kind: `pairs` or `review`: which of ours.

    Raises:
        InputError: the file, or the folder's files, cannot be read.
    """
    given = Path(setting) if setting else OWN / kind
    paths = {language: given / f"{language}.md" if given.is_dir() else given for language in LANGUAGES}
    there = [path for path in paths.values() if path.is_file()]
    if not there:
        raise InputError(f"guidelines {given} is neither a Markdown file nor a folder with ja.md or en.md")
    return {language: _html(path if path.is_file() else there[0]) for language, path in paths.items()}


def _html(path: Path) -> Markup:
    try:
        return Markup(_MARKDOWN.render(path.read_text(encoding="utf-8-sig")))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"guidelines {path} cannot be read: {error}") from None
