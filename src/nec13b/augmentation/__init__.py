"""Dialogues written by the model itself, harder and more varied, checked and reviewed by people."""
