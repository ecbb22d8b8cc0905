"""Preference data: pairs of answers, what people said of them, and what DPO learns from."""
