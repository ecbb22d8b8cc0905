"""Answers of models to prompts of people, and pairs of them that people compare (section 5 of the paper)."""
