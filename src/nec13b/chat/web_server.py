"""Serves the chat's page, and sees to it that it speaks to nobody but the browser that opened it.

No analytics, no share link, no font or script from elsewhere, and a content security policy by which the browser itself
refuses every other host, whatever a message says.
"""

import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from ..errors import InputError
from .chat_model import ChatModel
from .settings import ChatSettings

# Gradio's page has scripts and styles in its HTML; from elsewhere nothing is taken, and nothing is sent there.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {b"content-security-policy": POLICY.encode(), b"referrer-policy": b"no-referrer"}
FONTS = ["system-ui", "-apple-system", "Segoe UI", "Hiragino Sans", "Noto Sans CJK JP", "Yu Gothic", "sans-serif"]
MONO_FONTS = ["ui-monospace", "Menlo", "Consolas", "Noto Sans Mono CJK JP", "monospace"]
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class HeadersOfEveryAnswer:
    """Adds headers to what a server answers (ASGI)."""

    def __init__(self, app, headers: dict[bytes, bytes]):
        self.app, self.headers = app, headers

    async def __call__(self, scope, receive, send):
        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self.headers.items()]}
            await send(message)

        await self.app(scope, receive, send_with_headers)


def serve(chat_model: ChatModel, settings: ChatSettings) -> None:
    """Serves the page until Ctrl-C.

    Raises:
        InputError: Gradio is not installed, or the port is taken.
    """
    if find_spec("gradio") is None:
        raise InputError("the page needs the package gradio: pip install 'nec13b[chat]'")
    with tempfile.TemporaryDirectory(prefix="nec13b-chat-") as folder:
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # both are read when gradio is imported
        os.environ["GRADIO_TEMP_DIR"] = folder  # dialogues on their way to a browser, for nobody else to read
        _serve(chat_model, settings, Path(folder))


def _serve(chat_model: ChatModel, settings: ChatSettings, folder: Path) -> None:
    import gradio as gr
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from .web_page import WORDS, ChatPage

    middleware = [Middleware(HeadersOfEveryAnswer, headers=HEADERS)]
    if settings.host in LOOPBACK:
        # A foreign page may give its own name this machine's address, and so read the dialogue; the name betrays it.
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, "[::1]"]))
    else:
        print(f"{settings.host}: whoever reaches this machine can use the model", file=sys.stderr)
    theme = gr.themes.Soft(primary_hue="teal", neutral_hue="slate", font=FONTS, font_mono=MONO_FONTS).set(
        block_title_background_fill="none", block_title_text_color="*body_text_color", block_title_padding="0"
    )
    page = ChatPage(chat_model, settings.sampling, settings.system, folder)
    try:
        page.blocks.queue().launch(
            server_name=settings.host,
            server_port=settings.port,
            share=False,
            ssr_mode=False,
            quiet=True,
            inbrowser=False,
            footer_links=[],
            enable_monitoring=False,
            app_kwargs={"middleware": middleware},
            i18n=WORDS,
            theme=theme,
            css_paths=Path(__file__).with_name("web_page.css"),
            prevent_thread_lock=True,
        )
    except (OSError, ValueError) as error:  # the latter where a proxy stands before this machine's own address
        raise InputError(f"{settings.host}:{settings.port} cannot be served ({error}); try another --port") from None
    print(f"http://{settings.host}:{settings.port}  (Ctrl-C ends it)", flush=True)
    page.blocks.block_thread()
