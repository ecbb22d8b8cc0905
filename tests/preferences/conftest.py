"""Preferences in a line."""

import pytest

from nec13b.preferences.preference import Preference


@pytest.fixture(scope="session")
def preference_of(messages_of):
    """A preference of a question and two answers; more fields by name."""

    def make(question: str, chosen: str, rejected: str, **more) -> Preference:
        prompt, one, other = (messages_of(line) for line in (f"U {question}", f"A {chosen}", f"A {rejected}"))
        return Preference(prompt, one, other, **more)

    return make
