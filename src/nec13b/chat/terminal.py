"""The chat in a terminal: lines in, commands with a slash, answers as they are written.

Where the input is no terminal but a file or a pipe, each line is a message or a command, answers alone go to stdout,
and everything else goes to stderr.
"""

import contextlib
import difflib
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TextIO

from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.key_binding import KeyBindings

from ..errors import InputError
from .dialogue_file import add_to_file, dialogues_of_file
from .interface_text import say
from .session import ChatSession
from .settings import Sampling

FENCE = '"""'
COMMANDS = {  # and what may stand behind them
    "system": "[TEXT]", "regenerate": "", "undo": "", "clear": "", "history": "", "save": "FILE",
    "load": "FILE [N]", "settings": "[NAME VALUE]", "help": "", "quit": "",
}  # fmt: skip
BOLD, DIM, GREEN, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[1;32m", "\x1b[0m"
# A model may write escape sequences, which a terminal would obey.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class TerminalChat:
    """A conversation in a terminal or a pipe.

    Args:
        session: the conversation.
        language: `en` or `ja`, of what is said beside the answers.
        keyboard: whether a person types; None asks stdin and stdout.
    """

    def __init__(self, session: ChatSession, language: str = "en", keyboard: bool | None = None):
        self.session, self.language = session, language
        self.keyboard = sys.stdin.isatty() and sys.stdout.isatty() if keyboard is None else keyboard
        self.beside: TextIO = sys.stdout if self.keyboard else sys.stderr
        self.colours = self.keyboard and "NO_COLOR" not in os.environ
        self.failures = 0

    def run(self) -> int:
        """Talks until the input ends; returns the exit status, 1 where a pipe's message or command failed."""
        if self.keyboard:
            model = self.session.chat_model
            where = str(model.model.device)
            self._say("welcome", name=model.short_name, window=model.window, device=where)
            if self.session.system:
                self._say("system_is", system=self.session.system)
        for text in self._typed() if self.keyboard else messages_of_lines(sys.stdin):
            try:
                if not self._obey(text):
                    break
            except InputError as error:
                self.failures += 1
                print(f"error: {error}", file=sys.stderr, flush=True)
            except KeyboardInterrupt:
                if not self.keyboard:
                    raise
            self._tell_notices()
        return 1 if self.failures and not self.keyboard else 0

    def _obey(self, text: str) -> bool:
        """Says a message, or does what a command says; False ends the chat."""
        if not text.startswith("/") or text.startswith("//"):
            if text.strip():
                self._answer(self.session.ask(text.removeprefix("/") if text.startswith("//") else text))
            return True
        name, _, rest = text[1:].partition(" ")
        if name not in COMMANDS:
            close = difflib.get_close_matches(name, COMMANDS, n=1)
            raise InputError(f"no command /{name}; " + (f"did you mean /{close[0]}?" if close else "/help lists all"))
        if name == "quit":
            return False
        getattr(self, f"_{name}")(rest.strip())
        return True

    def _answer(self, pieces: Iterator[str]) -> None:
        if self.colours:
            print(f"{BOLD}{self.session.chat_model.short_name}{PLAIN}", flush=True)
        # Closing it stops the model, wherever Ctrl-C struck.
        with contextlib.closing(pieces):
            try:
                for piece in pieces:
                    print(CONTROL.sub("\ufffd", piece) if self.keyboard else piece, end="", flush=True)
            finally:
                print(flush=True)

    def _system(self, text: str) -> None:
        if text:
            self.session.system = "" if text.lower() == "none" else text
        if self.session.system:
            self._say("system_is", system=self.session.system)
        else:
            self._say("no_system")

    def _regenerate(self, _: str) -> None:
        self._answer(self.session.regenerate())

    def _undo(self, _: str) -> None:
        question = self.session.undo()
        if question is None:
            self._say("nothing_to_undo")
        else:
            self._say("undone", question=question)

    def _clear(self, _: str) -> None:
        self.session.clear()
        self._say("cleared")

    def _history(self, _: str) -> None:
        names = {"user": say(self.language, "you"), "assistant": self.session.chat_model.short_name}
        for message in self.session.messages:
            print(f"{names[message['role']]}: {CONTROL.sub(chr(0xFFFD), message['content'])}", file=self.beside)

    def _save(self, name: str) -> None:
        if not name:
            raise InputError("/save needs the name of a file")
        path = Path(name).expanduser()
        self._say("saved", count=add_to_file(path, self.session.dialogue()), path=path)

    def _load(self, words: str) -> None:
        if not words:
            raise InputError("/load needs the name of a file")
        name, _, last = words.rpartition(" ")
        number = int(last) if name and last.isdecimal() else None
        found = dialogues_of_file(Path(words if number is None else name).expanduser())
        if number is not None and not 1 <= number <= len(found):
            raise InputError(f"{name} holds {len(found)} dialogue(s); there is no number {number}")
        self.session.load(found[-1 if number is None else number - 1])
        self._say("loaded", exchanges=len(self.session.messages) // 2)

    def _settings(self, words: str) -> None:
        if words:
            name, _, value = words.replace("=", " ").partition(" ")
            changed = self.session.sampling.with_text(name, value.strip())
            self.session.chat_model.new_tokens(changed)
            self.session.sampling = changed
        for one in fields(Sampling):
            value = getattr(self.session.sampling, one.name)
            print(f"  {one.name:20}{'none' if value is None else value}", file=self.beside)

    def _help(self, _: str) -> None:
        for name, follows in COMMANDS.items():
            print(f"  /{name + ' ' + follows:24}{say(self.language, 'help_' + name)}", file=self.beside)
        self._say("help_multiline")

    def _typed(self) -> Iterator[str]:
        """What a person types, with Enter to send and Alt+Enter for a new line; pasted lines stay together."""
        keys = KeyBindings()
        keys.add("enter")(lambda event: event.current_buffer.validate_and_handle())
        keys.add("escape", "enter")(lambda event: event.current_buffer.insert_text("\n"))
        prompt = f"{GREEN}> {PLAIN}" if self.colours else "> "
        reader = PromptSession(multiline=True, key_bindings=keys, prompt_continuation="  ")
        while True:
            try:
                text = reader.prompt(ANSI(prompt))
                if text.strip() == FENCE:
                    lines = iter(lambda: reader.prompt("  "), FENCE)
                    text = "\n".join(lines)
            except KeyboardInterrupt:
                self._say("hint_quit")
                continue
            except EOFError:
                return
            yield text

    def _tell_notices(self) -> None:
        while self.session.notices:
            notice = self.session.notices.pop(0)
            self._say(notice.kind, **notice.values)

    def _say(self, kind: str, **values) -> None:
        text = say(self.language, kind, **values)
        print(f"{DIM}{text}{PLAIN}" if self.colours else text, file=self.beside, flush=True)


def messages_of_lines(lines: TextIO) -> Iterator[str]:
    """A message or command a line; between two lines of three quotes each, several lines are one message."""
    block: list[str] | None = None
    for line in lines:
        line = line.rstrip("\r\n")
        if line.strip() == FENCE:
            if block is not None:
                yield "\n".join(block)
            block = [] if block is None else None
        elif block is not None:
            block.append(line)
        else:
            yield line
    if block:
        yield "\n".join(block)
