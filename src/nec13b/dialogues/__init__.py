"""Dialogues: read in every common shape, checked, split and reported on (section 4 of the paper)."""

from .dialogue import Dialogue, Message

__all__ = ["Dialogue", "Message"]
