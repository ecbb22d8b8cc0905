"""Seeds for the augmentation."""

import json
from pathlib import Path

import pytest

SEEDS = [
    ("パンの焼き方を教えてください。", "強力粉と水と酵母を混ぜて、二度ふくらませてから焼きます。"),
    ("京都へ行くなら、どの季節がよいですか。", "紅葉の美しい十一月か、桜の咲く四月がよいでしょう。"),
    ("三角形の面積の公式を説明してください。", "底辺に高さを掛けて、二で割ったものが面積です。"),
    ("眠れない夜は、どう過ごせばよいでしょうか。", "明かりを落として、ゆっくりと息をしてみてください。"),
    ("会議の議事録を短くまとめるこつはありますか。", "決まったことと担当と期限だけを、先に書き出します。"),
]


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
