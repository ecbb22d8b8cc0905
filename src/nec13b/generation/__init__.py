"""Asking a model for replies, whether it runs here or behind an endpoint, and keeping them across interruptions."""
