"""Dialogues in a line or two, files of them, and seeds for the amplification."""

import gzip
import json
from pathlib import Path

import pytest
import zstandard

ROLES = {"S": "system", "U": "user", "A": "assistant", "T": "tool"}
SEEDS = [
    ("パンの焼き方を教えてください。", "強力粉と水と酵母を混ぜて、二度ふくらませてから焼きます。"),
    ("京都へ行くなら、どの季節がよいですか。", "紅葉の美しい十一月か、桜の咲く四月がよいでしょう。"),
    ("三角形の面積の公式を説明してください。", "底辺に高さを掛けて、二で割ったものが面積です。"),
    ("眠れない夜は、どう過ごせばよいでしょうか。", "明かりを落として、ゆっくりと息をしてみてください。"),
    ("会議の議事録を短くまとめるこつはありますか。", "決まったことと担当と期限だけを、先に書き出します。"),
]


@pytest.fixture(scope="session")
def messages_of():
    """Messages out of `U question`, `A answer` and so on; a longer first word is the role itself."""

    def make(*lines: str) -> list[dict[str, str]]:
        parts = [line.partition(" ") for line in lines]
        return [{"role": ROLES.get(role, role), "content": content} for role, _, content in parts]

    return make


@pytest.fixture(scope="session")
def write_rows():
    """Writes rows as JSONL, compressed as the file is named, or as one JSON array; returns the path as a text."""

    def write(path: Path, rows) -> str:
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        data = (json.dumps(list(rows), ensure_ascii=False, indent=1) if path.suffix == ".json" else lines).encode()
        if path.suffix == ".gz":
            data = gzip.compress(data)
        path.write_bytes(zstandard.compress(data) if path.suffix == ".zst" else data)
        return str(path)

    return write


@pytest.fixture(scope="session")
def seed_file(tmp_path_factory) -> Path:
    """Five short dialogues in Japanese."""
    path = tmp_path_factory.mktemp("seeds") / "seeds.jsonl"
    rows = [
        {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}
        for question, answer in SEEDS
    ]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path
