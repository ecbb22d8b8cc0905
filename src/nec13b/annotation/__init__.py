"""People compare answers of models, and review dialogues that a model wrote, on a web page."""
