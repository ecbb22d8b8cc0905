"""From a corpus to a saved tokenizer: read, leave the held-out part alone, sample by domain, train, save."""

from pathlib import Path

from ..corpus import Rejections, is_held_out, parse_sources, read_documents
from .bpe import sample_by_hash, train_tokenizer
from .settings import TokenizerSettings
from .storage import TokenizerHandle, save_tokenizer


def make_tokenizer(settings: TokenizerSettings, folder: Path, rejections: Rejections | None = None) -> TokenizerHandle:
    """Trains a tokenizer on the training part of a corpus and saves it in `folder`.

    Raises:
        InputError: the corpus cannot be read or holds no training text, or the vocabulary is too small for the bytes.
    """
    print("training the tokenizer ...", flush=True)
    documents = read_documents(parse_sources(settings.corpus), rejections, settings.max_document_characters)
    training = (document for document in documents if not is_held_out(document, settings.held_out_fraction))
    drawn = sample_by_hash(training, settings.tokenizer_characters)
    return save_tokenizer(train_tokenizer((document.text for document in drawn), settings.vocab_size), folder)
