"""Models side by side on the same prompts and pairs: what alignment changed (section 5 of the paper)."""
