"""What tells a checkpoint from others, so that a record can say which one it is about, wherever that lies now."""

import hashlib
from pathlib import Path

SAMPLED_BYTES = 1 << 20


def fingerprint_of_checkpoint(path: str) -> str:
    """A digest of the weights' sizes and of the first and last MiB of each file; nothing for a name on the Hub.

    Args:
        path: folder of a checkpoint or an adapter, or a .gguf file.
    """
    place = Path(path).expanduser()
    files = [place] if place.is_file() else sorted([*place.glob("*.safetensors"), *place.glob("*.gguf")])
    digest = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        digest.update(f"{file.name} {size}".encode())
        with file.open("rb") as opened:
            digest.update(opened.read(SAMPLED_BYTES))
            opened.seek(max(0, size - SAMPLED_BYTES))
            digest.update(opened.read(SAMPLED_BYTES))
    return digest.hexdigest() if files else ""
