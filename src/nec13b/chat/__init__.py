"""From a base model to an assistant: ChatML dialogues, their checks, their amplification, and a chat to try."""

from .dialogue import Dialogue, Message

__all__ = ["Dialogue", "Message"]
