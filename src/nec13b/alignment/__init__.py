"""Alignment: a chat model learns which of two answers people preferred (section 5 of the paper)."""
