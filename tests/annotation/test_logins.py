"""Who may come in, and that no password is kept or told."""

import pytest

from nec13b.annotation.logins import MOST_TRIES, logins_of_environment, password_hash
from nec13b.errors import InputError

VARIABLE = "NEC13B_TEST_ANNOTATORS"


@pytest.fixture
def logins(monkeypatch):
    def of(value: str):
        monkeypatch.setenv(VARIABLE, value)
        return logins_of_environment(VARIABLE)

    return of


def test_names_and_passwords(logins):
    people = logins("由紀:pass:with colon, ken:another one")
    assert people.are_right("由紀", "pass:with colon")
    assert people.are_right("ken", "another one")
    assert not people.are_right("ken", "pass:with colon")
    assert not people.are_right("nobody", "another one")
    assert "ken" in people
    assert "nobody" not in people


def test_a_file_of_hashes(logins, tmp_path):
    file = tmp_path / "annotators"
    file.write_text(f"# people\nken:{password_hash('a long one')}\n\nmei:in plain words\n")
    people = logins(str(file))
    assert people.are_right("ken", "a long one")
    assert people.are_right("mei", "in plain words")
    assert not people.are_right("ken", password_hash("a long one"))


def test_nothing_is_set(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert logins_of_environment(VARIABLE) is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("ken", "cannot be read"),
        ("ken:", "entry 1 is not name:password"),
        ("ken:SECRETSECRET,ken:SECRETSECRET", "entry 2 has a name that stands there already"),
        ("ken:SECRET", "8 characters"),
        ("ken:scrypt$SECRET", "is not a hash"),
    ],
)
def test_mistakes_are_told_without_the_secret(logins, value, said):
    with pytest.raises(InputError, match=said) as error:
        logins(value)
    assert "SECRET" not in str(error.value)


def test_no_password_stays_in_memory(logins):
    people = logins("ken:SECRETSECRET")
    assert "SECRETSECRET" not in repr(vars(people)) + repr(people)
    assert password_hash("a long one") != password_hash("a long one")  # salted


def test_too_many_tries(logins):
    people = logins("ken:a long one")
    for _ in range(MOST_TRIES):
        assert not people.must_wait("ken", "10.0.0.1")
        people.note_failure("ken", "10.0.0.1")
    assert people.must_wait("ken", "10.0.0.2")
    assert people.must_wait("mei", "10.0.0.1")
    assert not people.must_wait("mei", "10.0.0.2")
