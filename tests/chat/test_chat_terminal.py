"""The chat as people and scripts meet it: a process with a pipe or a terminal."""

import io
import json
import os
import pty
import re
import runpy
import select
import signal
import subprocess
import sys
import termios
import time
from fcntl import ioctl

import pytest
from tiny_chat_model import chat_folder, chat_model, random_model  # noqa: F401

from nec13b.chat.interface_text import TEXT, language_of
from nec13b.chat.session import ChatSession
from nec13b.chat.settings import Sampling
from nec13b.chat.terminal import COMMANDS, TerminalChat, messages_of_lines

COMMAND = [sys.executable, "-m", "nec13b.chat"]
SECONDS = 300  # more than any of it takes, on a busy machine


def talked(session, lines: str, monkeypatch, language: str = "en") -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    return TerminalChat(session, language).run()


@pytest.fixture
def session(chat_model) -> ChatSession:  # noqa: F811
    return ChatSession(chat_model, Sampling(temperature=0, max_new_tokens=8))


def test_a_pipe_gets_answers_alone_on_stdout(chat_folder, tmp_path):  # noqa: F811
    script = 'はじめまして\n"""\n二行の\n質問です\n"""\n/save saved.jsonl\n/quit\nnever said\n'
    words = [*COMMAND, str(chat_folder), "--temperature", "0", "--max_new_tokens", "8", "--system", "短く"]
    done = subprocess.run(words, input=script, capture_output=True, text=True, cwd=tmp_path, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    row = json.loads((tmp_path / "saved.jsonl").read_text(encoding="utf-8"))
    said = [m["content"] for m in row["messages"]]
    assert said[0] == "短く"
    assert said[1::2] == ["はじめまして", "二行の\n質問です"]
    assert done.stdout == "".join(f"{answer}\n" for answer in said[2::2])
    assert "Saved to saved.jsonl" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no/where"], "error: cannot load a chat model from no/where"),
        ([], "runs/chat_tune/model does not exist; recipes/chat_tune.py makes a chat model"),
        (["m", "--prot", "1"], "did you mean --port?"),
    ],
)
def test_a_mistake_is_one_line_and_the_status(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["chat", *words])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("nec13b.chat", run_name="__main__")
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


def test_commands(session, monkeypatch, capsys, tmp_path):
    path = tmp_path / "one.jsonl"
    lines = (
        f"/system\n/system 短く\n一つ目\n/regenerate\n//slash\n/undo\n/save {path}\n/clear\n/undo\n/load {path}\n"
        f"/load {path} 1\n/history\n/system none\n/settings temperature 0.5\n/settings seed=3\n/help\n"
    )
    assert talked(session, lines, monkeypatch) == 0
    out, err = capsys.readouterr()
    assert [m["content"] for m in session.messages] == ["一つ目", out.split("\n")[1]]
    assert (session.system, session.sampling.temperature, session.sampling.seed) == ("", 0.5, 3)
    for told in ("There is no system prompt.", "System prompt: 短く", "Taken back: /slash", "holds 1 dialogue",
                 "A new dialogue.", "There is nothing to take back.", "Loaded: 1 exchange", "You: 一つ目"):  # fmt: skip
        assert told in err
    for name in COMMANDS:
        assert f"/{name}" in err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/sav x", "did you mean /save?"),
        ("/xyz", "/help lists all"),
        ("/save", "needs the name of a file"),
        ("/save x.jsonl", "nothing to save yet"),
        ("/load", "needs the name of a file"),
        ("/load missing.jsonl", "cannot read missing.jsonl"),
        ("/regenerate", "no answer yet"),
        ("/settings colour 1", "no setting 'colour'"),
        ("/settings max_new_tokens 100000", "leaves nothing of the window"),
        ("あ" * 4000, "shorten the text"),
    ],
)
def test_a_command_that_fails_is_said_and_the_chat_goes_on(session, monkeypatch, capsys, line, message):
    assert talked(session, f"{line}\nはい\n", monkeypatch) == 1
    assert message in capsys.readouterr().err
    assert session.messages[0]["content"] == "はい"


def test_it_speaks_japanese(session, monkeypatch, capsys):
    talked(session, "/help\n/undo\n", monkeypatch, "ja")
    assert "取り消すものがありません。" in capsys.readouterr().err
    assert language_of("ja_JP.UTF-8") == language_of("ja-JP,ja;q=0.9,en;q=0.8") == language_of("fr,ja;q=0.5") == "ja"
    assert language_of("") == language_of("C.UTF-8") == language_of("de-DE") == "en"


def test_both_languages_say_the_same_things():
    assert TEXT["en"].keys() == TEXT["ja"].keys()
    for kind, text in TEXT["en"].items():
        assert set(re.findall(r"\{(\w+)", text)) == set(re.findall(r"\{(\w+)", TEXT["ja"][kind])), kind


def test_lines_become_messages():
    lines = io.StringIO('one\r\n"""\na\n\nb\n"""\n\n"""\nleft open\n')
    assert list(messages_of_lines(lines)) == ["one", "a\n\nb", "", "left open"]


class TypedInto:
    """A process in a terminal of its own, to type into and to read from."""

    def __init__(self, words: list[str], folder):
        ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen(
            words, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment, start_new_session=True,
            preexec_fn=self._own_terminal,
        )  # fmt: skip
        os.close(theirs)
        self.terminal, self.seen = ours, ""

    @staticmethod
    def _own_terminal() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # which shells have jobs in the background ignore
        ioctl(0, termios.TIOCSCTTY, 0)

    def type(self, text: str) -> None:
        """Presses keys."""
        os.write(self.terminal, text.encode())

    def read_until(self, text: str) -> str:
        """What appears on the screen up to a text."""
        deadline = time.monotonic() + SECONDS
        while text not in self.seen:
            assert time.monotonic() < deadline, f"no {text!r} in {self.seen[-2000:]!r}"
            self.read_more()
        before, _, self.seen = self.seen.partition(text)
        return before

    def read_more(self) -> None:
        """Waits a second for more to appear."""
        if select.select([self.terminal], [], [], 1)[0]:
            self.seen += os.read(self.terminal, 65536).decode(errors="replace")


def test_ctrl_c_stops_an_answer_and_not_the_chat(tokenizer, tmp_path):
    random_model(tokenizer, max_position_embeddings=8192).save_pretrained(tmp_path / "endless")
    tokenizer.tokenizer.save_pretrained(tmp_path / "endless")
    chat = TypedInto([*COMMAND, "./endless", "--temperature", "0", "--max_new_tokens", "8000"], tmp_path)
    try:
        chat.read_until("/help lists the commands")
        chat.read_until("> ")
        chat.type("話")
        chat.type("\x1b\r")  # Alt+Enter
        chat.type("して\r")
        chat.read_until("\x1b[1mendless\x1b[0m\r\n")  # the name of the model, before its answer
        while len(chat.seen) < 20:
            chat.read_more()
        chat.type("\x03")
        chat.read_until("Stopped.")
        chat.read_until("> ")
        chat.type("\x03")
        chat.read_until("/quit or Ctrl-D ends the chat")
        chat.type("/save said.jsonl\r")
        chat.read_until("> ")
        chat.type("\x04")
        assert chat.process.wait(SECONDS) == 0
    finally:
        chat.process.kill()
    messages = json.loads((tmp_path / "said.jsonl").read_text(encoding="utf-8"))["messages"]
    assert messages[0]["content"] == "話\nして"
    assert messages[1]["content"]
