"""A model in each form that it is published in, written to a temporary name and renamed when it is whole.

llama    what transformers calls a Llama: the interpolation of the frequencies as `longrope` factors, no code of ours
nec13b   the same weights under the project's name, its three modules beside them (trust_remote_code)
gguf     one file for llama.cpp (gguf_file.py)
"""

from pathlib import Path

from ..llama_conversion import llama_from_nec13b
from ..whole_files import whole_folder
from .gguf_file import write_gguf
from .source_model import SourceModel

GGUF_NAME = "model.gguf"


def write_form(source: SourceModel, form: str, folder: Path, max_shard_size: str) -> Path:
    """Writes one form.

    Args:
        source: the model.
        form: `llama`, `nec13b` or `gguf`.
        folder: where it goes; what was there is replaced.
        max_shard_size: largest file of weights, as transformers writes it (`5GB`).

    Raises:
        InputError: the model has no such form.
    """
    with whole_folder(folder) as building:
        if form == "gguf":
            write_gguf(source.model, source.tokenizer, building / GGUF_NAME)
        else:
            model = llama_from_nec13b(source.model) if form == "llama" else source.model
            model.save_pretrained(building, max_shard_size=max_shard_size)
            source.tokenizer.save_pretrained(building)
    return folder
