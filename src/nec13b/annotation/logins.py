"""Who may come in: names and passwords from the environment, of which only salted hashes stay in memory.

    NEC13B_ANNOTATORS="yuki:a long password,ken:another one"
    NEC13B_ANNOTATORS=/etc/nec13b/annotators      a file, one name:password or name:hash a line

A hash is made by `python -m nec13b.annotation.logins`, which asks for a password. It is scrypt's; a wrong name takes as
long as a wrong password.
"""

import base64
import getpass
import hashlib
import hmac
import os
import secrets
import sys
import time
from collections import defaultdict
from pathlib import Path

from ..errors import InputError

PREFIX = "scrypt$"
COST = {"n": 2**14, "r": 8, "p": 1}  # 16 MiB and some 40 ms a try
MOST_TRIES, SECONDS_OF_TRIES = 8, 60.0
FEWEST_CHARACTERS = 8


class Logins:
    """Names with the hashes of their passwords.

    Args:
        hashes: by name.
    """

    def __init__(self, hashes: dict[str, str]):
        self._hashes, self._nobody = hashes, password_hash(secrets.token_hex(8))
        self._failures: dict[str, list[float]] = defaultdict(list)

    def __contains__(self, name: str) -> bool:
        return name in self._hashes

    def __repr__(self) -> str:
        return f"Logins of {len(self._hashes)} people"

    def are_right(self, name: str, password: str) -> bool:
        """Whether somebody of this name has this password."""
        right = _is_password_of(password, self._hashes.get(name, self._nobody))
        return right and name in self._hashes

    def must_wait(self, name: str, address: str) -> bool:
        """Whether too many tries failed within a minute, under this name or from this address."""
        now = time.monotonic()
        for key in (f"name {name}", f"address {address}"):
            self._failures[key] = [when for when in self._failures[key] if now - when < SECONDS_OF_TRIES]
            if len(self._failures[key]) >= MOST_TRIES:
                return True
        return False

    def note_failure(self, name: str, address: str) -> None:
        """Takes note of a try that failed."""
        if len(self._failures) > 10_000:
            self._failures.clear()
        for key in (f"name {name}", f"address {address}"):
            self._failures[key].append(time.monotonic())


def logins_of_environment(variable: str) -> Logins | None:
    """The logins that an environment variable, or the file it names, holds; None where it is not set.

    Raises:
        InputError: it holds none, or one that cannot be used. What it holds is not repeated.
    """
    value = os.environ.get(variable, "").strip()
    if not value:
        return None
    where, entries = f"the environment variable {variable}", value.split(",")
    if ":" not in value or "/" in value.partition(":")[0]:
        where = f"the file that {variable} names"
        try:
            entries = Path(value).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{where} cannot be read: {type(error).__name__}") from None
    hashes: dict[str, str] = {}
    for number, entry in enumerate((entry.strip() for entry in entries), start=1):
        if not entry or entry.startswith("#"):
            continue
        name, colon, password = entry.partition(":")
        name = name.strip()
        if not (colon and name and password):
            raise InputError(f"{where}, entry {number} is not name:password")
        if name in hashes:
            raise InputError(f"{where}, entry {number} has a name that stands there already")
        if password.startswith(PREFIX):
            _parts(password, f"{where}, entry {number}")
        elif len(password) < FEWEST_CHARACTERS:
            raise InputError(f"{where}, entry {number}: a password needs {FEWEST_CHARACTERS} characters at least")
        hashes[name] = password if password.startswith(PREFIX) else password_hash(password)
    if not hashes:
        raise InputError(f"{where} holds no name:password")
    return Logins(hashes)


def password_hash(password: str) -> str:
    """A password as it may lie in a file: `scrypt$salt$hash`, both base64."""
    salt = secrets.token_bytes(16)
    return PREFIX + "$".join(
        base64.b64encode(part).decode() for part in (salt, hashlib.scrypt(password.encode(), salt=salt, **COST))
    )


def _is_password_of(password: str, hashed: str) -> bool:
    salt, wanted = _parts(hashed, "a login")
    return hmac.compare_digest(hashlib.scrypt(password.encode("utf-8", "replace"), salt=salt, **COST), wanted)


def _parts(hashed: str, where: str) -> tuple[bytes, bytes]:
    try:
        salt, wanted = (base64.b64decode(part, validate=True) for part in hashed.removeprefix(PREFIX).split("$"))
    except ValueError:
        raise InputError(f"{where} is not a hash; make one with python -m nec13b.annotation.logins") from None
    return salt, wanted


if __name__ == "__main__":
    print(password_hash(getpass.getpass("Password: ", sys.stderr)))
