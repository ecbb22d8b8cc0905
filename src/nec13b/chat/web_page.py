"""The chat as a web page, on Gradio: for one person on this machine, or for a few who may reach it.

Everybody who opens it has a `ChatSession` of their own; the model is shared and answers one at a time. What a browser
may load is decided in `web_server.py`.
"""

import html
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr

from ..errors import InputError
from .chat_model import ChatModel
from .dialogue_file import add_to_file, dialogues_of_file
from .interface_text import TEXT, language_of, say
from .markdown_text import harmless, literal
from .session import ChatSession
from .settings import Sampling

SECONDS_IDLE = 24 * 3600  # after which a dialogue is forgotten
SECONDS_BETWEEN_UPDATES = 0.08  # more often than this nobody can read
WORDS = gr.I18n(**TEXT)


class ChatPage:
    """The page and what its buttons do.

    Args:
        chat_model: who answers.
        sampling: what the settings show at first.
        system: the system prompt at first.
        folder: where dialogues lie until they are downloaded.
    """

    def __init__(self, chat_model: ChatModel, sampling: Sampling, system: str, folder: Path):
        self.chat_model, self.sampling, self.system, self.folder = chat_model, sampling, system, folder
        self.blocks = self._laid_out()

    def _laid_out(self) -> gr.Blocks:
        name, longest = self.chat_model.short_name, self.chat_model.window
        with gr.Blocks(title=name, analytics_enabled=False, delete_cache=(3600, 3600)) as blocks:
            session = gr.State(time_to_live=SECONDS_IDLE, delete_callback=lambda session: session and session.stop())
            with gr.Sidebar(position="right", open=False, width=340):
                gr.Markdown(WORDS("settings"), elem_id="settings")
                system = gr.Textbox(
                    self.system, lines=3, max_lines=10, label=WORDS("system"), info=WORDS("system_info")
                )
                settings = [system, *self._sampling_fields(longest)]
            with gr.Column(elem_id="page"):
                with gr.Column(elem_id="head"):
                    gr.HTML(f"<h1>{html.escape(name)}</h1>", padding=False)
                    gr.Markdown(WORDS("subtitle"))
                dialogue = gr.Chatbot(
                    elem_id="dialogue", show_label=False, container=False, height="60dvh", buttons=[],
                    layout="bubble", placeholder=WORDS("empty"), allow_tags=False, sanitize_html=True,
                    latex_delimiters=[], group_consecutive_messages=False,
                )  # fmt: skip
                box = gr.Textbox(
                    elem_id="say", placeholder=WORDS("placeholder"), show_label=False, container=False, lines=1,
                    max_lines=10, autofocus=True, submit_btn=True,
                )  # fmt: skip
                with gr.Row(elem_id="actions"):
                    again = gr.Button(WORDS("regenerate"), size="sm")
                    undo = gr.Button(WORDS("undo"), size="sm")
                    clear = gr.Button(WORDS("clear"), size="sm")
                    save = gr.DownloadButton(WORDS("save"), size="sm", interactive=False, elem_id="save")
                    load = gr.UploadButton(WORDS("open"), size="sm", file_types=[".jsonl"], elem_id="open")

            seen = [session, dialogue, box, save]
            # Answers take turns at the model by themselves; so who waits sees it, and can stop.
            how = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}
            box.submit(self.ask, [session, box, *settings], seen, **how)
            again.click(self.answer_again, [session, box, *settings], seen, **how)
            box.stop(lambda session: session and session.stop(), [session], None, queue=False, **how)
            undo.click(self.undo, [session, box], seen, **how)
            clear.click(self.clear, [session, box], seen, **how)
            load.upload(self.open, [session, box, load], [*seen, system], **how)
        return blocks

    def _sampling_fields(self, longest: int) -> list[gr.components.Component]:
        """The settings of `Sampling`, in its order."""

        def words(name: str) -> dict:
            info = {"info": WORDS(f"{name}_info")} if f"{name}_info" in TEXT["en"] else {}
            return {"label": WORDS(name), **info}

        penalty = self.sampling.repetition_penalty
        return [
            gr.Slider(
                0, max(2, self.sampling.temperature), self.sampling.temperature, step=0.05, **words("temperature")
            ),
            gr.Slider(0.05, 1, self.sampling.top_p, step=0.05, **words("top_p")),
            gr.Slider(min(1, penalty), max(2, penalty), penalty, step=0.05, **words("repetition_penalty")),
            gr.Slider(1, longest - 1, self.chat_model.new_tokens(self.sampling), step=1, **words("max_new_tokens")),
            gr.Textbox("" if self.sampling.seed is None else str(self.sampling.seed), **words("seed")),
        ]

    def new_session(self) -> ChatSession:
        """What a browser begins with at its first question; its first answer says whose it is."""
        return ChatSession(self.chat_model, self.sampling, self.system)

    def ask(self, request: gr.Request, session: ChatSession | None, text: str, *settings) -> Iterator[tuple]:
        """Says what stands in the box, and shows the answer as it is written."""
        session = session or self.new_session()
        asked = [*session.messages, {"role": "user", "content": text}]
        yield from self._streamed(request, session, settings, lambda: session.ask(text), asked, "", text)

    def answer_again(self, request: gr.Request, session: ChatSession | None, text: str, *settings) -> Iterator[tuple]:
        """Another answer to the last question; what stands in the box stays."""
        session = session or self.new_session()
        yield from self._streamed(request, session, settings, session.regenerate, session.messages[:-1], text, text)

    def _streamed(
        self,
        request: gr.Request,
        session: ChatSession,
        settings: tuple,
        pieces: Callable[[], Iterator[str]],
        asked: list,
        in_box: str,
        in_box_if_nothing_came: str,
    ) -> Iterator[tuple]:
        before = session.messages
        try:
            system, *numbers, seed = settings
            session.system, session.sampling = system or "", Sampling(*numbers).with_text("seed", seed.strip())
            shown = [*_shown(asked), {"role": "assistant", "content": "…"}]
            answer, due = pieces(), 0.0
            busy = gr.Textbox(value=in_box, submit_btn=False, stop_btn=True)
            yield session, shown, busy, gr.skip()
            text = ""
            for piece in answer:
                text += piece
                if time.monotonic() >= due:
                    shown[-1] = {"role": "assistant", "content": harmless(text)}
                    yield session, shown, gr.skip(), gr.skip()
                    due = time.monotonic() + SECONDS_BETWEEN_UPDATES
        except InputError as error:
            gr.Warning(html.escape(str(error)))
        yield self._now(session, request, in_box_if_nothing_came if session.messages is before else in_box)

    def undo(self, request: gr.Request, session: ChatSession | None, text: str) -> tuple:
        """Takes back the last question, and puts it into the box to be changed."""
        session = session or self.new_session()
        return self._now(session, request, session.undo() or text)

    def clear(self, request: gr.Request, session: ChatSession | None, text: str) -> tuple:
        """A new dialogue; the settings stay."""
        session = session or self.new_session()
        session.stop()
        session.clear()
        return self._now(session, request, text)

    def open(self, request: gr.Request, session: ChatSession | None, text: str, path: str) -> tuple:
        """Goes on from the last dialogue of a file."""
        session = session or self.new_session()
        try:
            session.load(dialogues_of_file(Path(path))[-1])
        except InputError as error:
            gr.Warning(html.escape(str(error).replace(path, Path(path).name)))
        return *self._now(session, request, text), session.system

    def _now(self, session: ChatSession, request: gr.Request, text: str) -> tuple:
        """What the page shows of a session at rest."""
        language = language_of(request.headers.get("accept-language", "") if request else "")
        while session.notices:
            notice = session.notices.pop(0)
            gr.Info(html.escape(say(language, notice.kind, **notice.values)))
        save = gr.DownloadButton(value=None, interactive=False)
        if session.messages:
            path = Path(tempfile.mkdtemp(dir=self.folder)) / f"{session.id.replace('/', '-')}.jsonl"
            add_to_file(path, session.dialogue())
            save = gr.DownloadButton(value=str(path), interactive=True)
        return session, _shown(session.messages), gr.Textbox(value=text, submit_btn=True, stop_btn=False), save


def _shown(messages: list) -> list[dict]:
    as_markdown = {"user": literal, "assistant": harmless}
    return [{"role": m["role"], "content": as_markdown[m["role"]](m["content"])} for m in messages]
