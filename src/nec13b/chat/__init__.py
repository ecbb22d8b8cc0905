"""A chat to try a model with, in the terminal and on a web page: `python -m nec13b.chat CHECKPOINT`."""
