"""Rakuda: models answer Japanese questions, a judge compares the answers two by two, win rates and a ranking follow."""
