"""Training examples: the pieces of a sequence as ids, labels and positions, in the data order, and batches of them.

Where documents are kept apart, the positions start again at each piece. That is all the model needs: transformers
derives from them that attention stays within a document (sdpa, eager, flex_attention), and `SequenceCollator` tells
flash attention the same in the form it wants.

The first token of a piece has the label -100, so it is not predicted from the document that happens to lie before it;
what fills up a sequence is not predicted either, and no document attends to it. Only where the stream is cut and
documents are not kept apart is a sequence one piece, and each begin token is predicted from the end token before it.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from ..errors import InputError
from .data_order import RESOLUTION, DataOrder
from .packing import ConcatenatedPacking, PackingPlan
from .token_shards import TokenShards, TokenStream

IGNORED = -100  # the label that transformers leaves out of the loss, and out of the count it is divided by


class PackedSequences(Dataset):
    """The training sequences in their order, for a DataLoader that reads them one after another.

    An example holds `input_ids` and `labels`, int64, shape (sequence_length,). The model shifts the labels itself.
    Where documents are kept apart, `position_ids` of the same shape start at 0 with each document; with `domain_ids`
    there is `domain`, an int64 scalar, the place of the sequence's domain in `domains`.

    Args:
        shards: the tokens.
        sequence_length: tokens in a sequence.
        proportions: the mixture by domain, shares of tokens, summing to 1.
        seed: decides the order.
        sequences: how many there are (steps x sequences in a batch).
        plan: best-fit packing; None cuts the stream.
        attend_across_documents: a sequence is one text to the model, whatever documents it holds.
        domain_ids: whether examples say of which domain they are.

    Raises:
        InputError: a domain is shorter than one sequence.

    Attributes:
        domains: names of the domains, by the numbers in the examples.
        order: the order of the sequences.
        filled: share of the places that hold tokens, by domain.
    """

    def __init__(
        self,
        shards: TokenShards,
        sequence_length: int,
        proportions: dict[str, float],
        seed: int,
        sequences: int,
        plan: PackingPlan | None = None,
        attend_across_documents: bool = True,
        domain_ids: bool = False,
    ):
        self.streams, self.padding_token = shards.streams["train"], shards.padding_token
        self.sequence_length, self.sequences = sequence_length, sequences
        self.attend_across_documents, self.domain_ids = attend_across_documents, domain_ids
        self.domains = list(proportions)
        for domain in self.domains:
            if self.streams[domain].tokens < sequence_length:
                raise InputError(
                    f"the corpus has only {self.streams[domain].tokens:,} training tokens of {domain}, less than one "
                    f"sequence of {sequence_length:,}; add text or lower sequence_length"
                )
        self.packings = {
            domain: plan.domains[domain]
            if plan
            else ConcatenatedPacking(self.streams[domain], sequence_length, not attend_across_documents)
            for domain in self.domains
        }
        counts = {domain: len(packing) for domain, packing in self.packings.items()}
        self.filled = {domain: self.streams[domain].tokens / (counts[domain] * sequence_length) for domain in counts}
        # Proportions are of tokens, so a domain whose sequences are emptier gives more of them.
        weights = {
            domain: max(1, round(share * RESOLUTION / self.filled[domain])) for domain, share in proportions.items()
        }
        self.order = DataOrder(counts, weights, seed)

    def __len__(self) -> int:
        return self.sequences

    def __getitem__(self, i: int) -> dict[str, np.ndarray]:
        if not 0 <= i < len(self):
            raise IndexError(i)
        domain, sequence = self.order[i]
        pieces = self.packings[domain].pieces(sequence)
        example = sequence_example(
            self.streams[domain], pieces, self.sequence_length, self.padding_token, self.attend_across_documents
        )
        if self.domain_ids:
            example["domain"] = np.int64(self.domains.index(domain))
        return example

    def described(self, i: int) -> list[tuple[str, int]]:
        """(domain, which of its sequences) of the i-th example; a list, as an example may be several sequences."""
        return [self.order[i]]


class SequencesInOrder(Sampler):
    """0, 1, 2, ... from where training stands; how many there are in all stays the same.

    Args:
        size: all of them.
        start: asked when the loader begins to read.
    """

    def __init__(self, size: int, start: Callable[[], int]):
        self.size, self.start = size, start

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start(), self.size))


class HeldOutSequences(Dataset):
    """The first `limit` windows of a held-out stream, for evaluation; the same tokens whatever the packing.

    Args:
        stream: the tokens.
        sequence_length: tokens in a sequence.
        limit: how many at most.
        attend_across_documents: as the model was trained.
    """

    def __init__(self, stream: TokenStream, sequence_length: int, limit: int, attend_across_documents: bool = True):
        self.stream, self.sequence_length = stream, sequence_length
        self.attend_across_documents = attend_across_documents
        self.packing = ConcatenatedPacking(stream, sequence_length, not attend_across_documents)
        self.sequences = min(limit, stream.tokens // sequence_length)  # full ones only

    def __len__(self) -> int:
        return self.sequences

    def __getitem__(self, i: int) -> dict[str, np.ndarray]:
        if not 0 <= i < self.sequences:
            raise IndexError(i)
        return sequence_example(
            self.stream, self.packing.pieces(i), self.sequence_length, 0, self.attend_across_documents
        )


def sequence_example(
    stream: TokenStream,
    pieces: list[tuple[int, int]],
    sequence_length: int,
    padding_token: int,
    attend_across_documents: bool,
) -> dict[str, np.ndarray]:
    """One sequence as ids and labels (and positions where documents are kept apart), int64, (sequence_length,) each.

    Args:
        stream: the tokens.
        pieces: (first token, number of tokens) of each piece; what they leave of the sequence is padding.
        sequence_length: tokens in the sequence.
        padding_token: what fills it up.
        attend_across_documents: treat it as one text.
    """
    ids = np.full(sequence_length, padding_token, np.int64)
    labels = np.full(sequence_length, IGNORED, np.int64)
    positions = np.empty(sequence_length, np.int64)
    filled = 0
    for start, length in pieces:
        part, place = stream.window(start, length), slice(filled, filled + length)
        ids[place] = labels[place] = part
        if filled:  # the first token of a piece would be predicted from the document before it
            labels[filled] = IGNORED
        positions[place] = np.arange(length)
        filled += length
    example = {"input_ids": ids, "labels": labels}
    if not attend_across_documents:
        positions[filled:] = np.arange(sequence_length - filled)  # padding attends to itself, so no row is empty
        example["position_ids"] = positions
    return example


class SequenceCollator:
    """Stacks examples of one length into a batch of tensors, (examples, sequence_length).

    An example may also be several sequences, (sequences, sequence_length); they become as many rows of the batch.

    Trainer's own collator for tokenizers would add an attention mask of ones, which makes transformers overlook the
    positions that start again, so that attention would cross documents.

    Args:
        attn_implementation: the model's attention backend. The flash kernels take no mask and see the restarted
            positions only in batches of one row. They are told instead where each document begins among the tokens of
            all rows: `cu_seq_lens_q` and `cu_seq_lens_k`, int32, shape (documents + 1,), with `max_length_q` and
            `max_length_k`. As the rows are laid end to end only inside the kernel, the batch keeps its shape.
    """

    def __init__(self, attn_implementation: str):
        self.cu_seq_lens = "flash" in attn_implementation

    def __call__(self, examples: list[dict[str, np.ndarray]]) -> dict[str, torch.Tensor | int]:
        join = np.stack if examples[0]["input_ids"].ndim == 1 else np.concatenate
        batch = {name: torch.from_numpy(join([e[name] for e in examples])) for name in examples[0]}
        if self.cu_seq_lens and "position_ids" in batch:
            positions = batch["position_ids"].flatten()
            begins = torch.nonzero(positions == 0).flatten()
            limits = torch.cat([begins, torch.tensor([len(positions)])]).to(torch.int32)
            batch |= {"cu_seq_lens_q": limits, "cu_seq_lens_k": limits}
            # The longest that may occur, so that it is the same in every batch; the kernels only need a bound.
            length = batch["position_ids"].shape[1]
            batch |= {"max_length_q": length, "max_length_k": length}
        return batch
