"""Token shards of made-up documents, in which every token is a number of its own."""

import json

import numpy as np
import pytest

from nec13b.pretraining import TokenShards


@pytest.fixture
def shards_of(tmp_path):
    """Makes and opens shards from document lengths by domain: the i-th token of a domain is i + 1, padding is 0."""

    def make(lengths: dict[str, list[int]], name: str = "tokens", vocab_size: int = 2**31) -> TokenShards:
        folder = tmp_path / name
        folder.mkdir()
        streams = {}
        for domain, documents in lengths.items():
            ends = np.cumsum(documents)
            tokens = np.arange(1, ends[-1] + 1)
            half = max(1, len(tokens) // 2)
            shards = []
            for i, part in enumerate(part for part in (tokens[:half], tokens[half:]) if len(part)):
                file = f"train-{domain}-{i:05d}.bin"
                part.astype("<u4").tofile(folder / file)
                shards.append({"file": file, "tokens": len(part)})
            ends.astype("<i8").tofile(folder / f"train-{domain}.ends")
            streams[f"train/{domain}"] = {
                "documents": len(ends),
                "tokens": len(tokens),
                "ends": {"file": f"train-{domain}.ends", "sha256": str(list(documents))},
                "shards": shards,
            }
        index = {
            "format": "nec13b-token-shards-2", "dtype": "uint32", "tokenizer": "x", "vocab_size": vocab_size,
            "padding_token": 0, "corpus": "y", "held_out_fraction": 0.0, "mixture": None, "streams": streams,
        }  # fmt: skip
        (folder / "index.json").write_text(json.dumps(index))
        return TokenShards.open(folder)

    return make
