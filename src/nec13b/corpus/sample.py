"""The built-in sample corpus: what a machine without network can learn from.

- code: the running Python's standard library (tests left out);
- en: its documentation, that is the language reference behind `help()` and the longer docstrings;
- ja: original texts of many genres written for this project, in `sample/ja/<genre>/`.

The first two depend on the Python version, so figures from the sample are comparable on one version only.
"""

import ast
import inspect
import sysconfig
from collections.abc import Iterator
from functools import cache
from importlib import import_module, resources
from pathlib import Path

from .documents import Document

# Not code that anyone would want to learn from: tests, vendored wheels, generated tables.
LEFT_OUT = {
    "test",
    "tests",
    "site-packages",
    "dist-packages",
    "idle_test",
    "lib2to3",
    "pydoc_data",
    "__pycache__",
    "encodings",
}
DOCSTRING_CHARACTERS = 250


def sample_documents(domain: str = "") -> Iterator[Document]:
    """The documents of the sample in a fixed order: ja, en, code; or those of one domain."""
    if domain in ("", "ja"):
        yield from _japanese()
    if domain in ("", "en"):
        yield from _language_reference()
        for name, text in _standard_library():
            yield from _docstrings(name, text)
    if domain in ("", "code"):
        for name, text in _standard_library():
            yield _document(text, "code", f"python/{name}", "PSF-2.0", group=f"python/{name}")


def _japanese() -> Iterator[Document]:
    folder = resources.files("nec13b.corpus") / "sample" / "ja"
    for genre in sorted(folder.iterdir(), key=lambda entry: entry.name):
        for file in sorted(genre.iterdir(), key=lambda entry: entry.name):
            if file.name.endswith(".txt"):
                text = file.read_text(encoding="utf-8")
                yield _document(text, "ja", f"{genre.name}/{file.name}", "Apache-2.0")


def _language_reference() -> Iterator[Document]:
    topics = import_module("pydoc_data.topics").topics
    for name in sorted(topics):
        if len(topics[name]) >= DOCSTRING_CHARACTERS:
            yield _document(topics[name].strip() + "\n", "en", f"pydoc/{name}", "PSF-2.0")


@cache
def _standard_library() -> list[tuple[str, str]]:
    """(path below the library, text) of every module that is worth reading."""
    root = Path(sysconfig.get_paths()["stdlib"])
    modules = []
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root)
        if LEFT_OUT & set(name.parts[:-1]) or name.name.startswith("_sysconfigdata"):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue  # a few modules are kept in other encodings on purpose
        if text.strip():
            modules.append((name.as_posix(), text))
    return modules


def _docstrings(name: str, text: str) -> Iterator[Document]:
    """The long docstrings of one module, as prose; in the module's group, so both fall on one side of the split."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    count = 0
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            docstring = ast.get_docstring(node, clean=False)
            if docstring and len(docstring) >= DOCSTRING_CHARACTERS:
                count += 1
                text = inspect.cleandoc(docstring) + "\n"
                yield _document(text, "en", f"docstring/{name}:{count}", "PSF-2.0", group=f"python/{name}")


def _document(text: str, domain: str, name: str, licence: str, group: str = "") -> Document:
    language = "" if domain == "code" else domain
    return Document(text, domain, "sample", group, id=f"sample/{name}", language=language, licence=licence)
