"""Talk to a chat model: python -m nec13b.chat CHECKPOINT, in the terminal; with --web, on a page.

docs/chat.md is the manual.
"""

import sys

from nec13b.recipe_config import run_recipe

from .settings import parse_chat_settings


def main() -> None:
    settings = parse_chat_settings()
    from .chat_model import load_chat_model

    chat_model = load_chat_model(settings)
    if settings.web:
        from .web_server import serve

        serve(chat_model, settings)
    else:
        from .interface_text import language_of_terminal
        from .session import ChatSession
        from .terminal import TerminalChat

        sys.exit(
            TerminalChat(ChatSession(chat_model, settings.sampling, settings.system), language_of_terminal()).run()
        )


if __name__ == "__main__":
    run_recipe(main)
