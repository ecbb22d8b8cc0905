"""How much memory a training step takes on each GPU: what is always there, and what comes and goes.

A step is followed through the moments at which memory can be highest: the end of the forward pass, the loss, the
backward pass through the last and the first layer, the embedding, the optimizer. Each moment is a list of named
parts; the peak is the fullest moment. What stays (weights, gradients, optimizer state) is counted as Rajbhandari et
al. (2020, "ZeRO") do, with the bytes that accelerate, FSDP2 and DeepSpeed really hold; what comes and goes is counted
in activations.py.
"""

import math
from dataclasses import dataclass

from ..errors import InputError
from .activations import (
    ATTENTION_BACKENDS,
    Arithmetic,
    backward_passing_bytes,
    checkpoint_bytes,
    forward_passing_bytes,
    layer_bytes,
)
from .chunked_loss import CPU_CHUNK_TOKENS
from .layout import Layout
from .model_shape import ModelShape

DEEPSPEED_BUCKET = 500_000_000  # elements; DeepSpeed's default reduce_bucket_size and allgather_bucket_size
# Bytes of optimizer state a parameter, for Trainer's names that begin so. AdamW has two fp32 moments.
OPTIMIZER_BYTES = {"adamw_bnb_8bit": 2, "adamw_8bit": 2, "paged_adamw_8bit": 2, "adamw": 8, "paged_adamw": 8, "sgd": 0}


@dataclass(frozen=True)
class Workload:
    """What one process does in an optimizer step.

    Attributes:
        sequences: sequences in a forward pass (per_device_train_batch_size).
        sequence_length: tokens in a sequence.
        accumulation: forward passes for an optimizer step.
        attention: backend, one of ATTENTION_BACKENDS.
        checkpointing: layers are computed again in the backward pass.
        checkpoint_every: only every n-th layer is.
        chunked_loss: the loss is computed in chunks of tokens, without the whole logits (chunked_loss.py).
        chunk_tokens: tokens in a chunk; None takes 256 on the CPU and torch's choice elsewhere.
        optimizer: Trainer's name of it.
        sync_each_batch: FSDP2 shards gradients after every forward pass of an accumulation, instead of after the last
            (accelerator_config: {gradient_accumulation_kwargs: {sync_each_batch: true}}).
    """

    sequences: int = 1
    sequence_length: int = 2048
    accumulation: int = 1
    attention: str = "sdpa"
    checkpointing: bool = False
    checkpoint_every: int = 1
    chunked_loss: bool = True
    chunk_tokens: int | None = None
    optimizer: str = "adamw_torch_fused"
    sync_each_batch: bool = False

    def __post_init__(self):
        if self.attention not in ATTENTION_BACKENDS:
            raise InputError(f"attn_implementation {self.attention!r} is none of {', '.join(ATTENTION_BACKENDS)}")
        for name in ("sequences", "sequence_length", "accumulation", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")
        self.optimizer_bytes  # noqa: B018 - refuses an optimizer that is not known

    @property
    def optimizer_bytes(self) -> int:
        """Bytes of optimizer state a parameter."""
        for name in sorted(OPTIMIZER_BYTES, key=len, reverse=True):
            if self.optimizer.startswith(name):
                return OPTIMIZER_BYTES[name]
        raise InputError(f"the memory of optim {self.optimizer!r} is not known; known are {', '.join(OPTIMIZER_BYTES)}")


@dataclass(frozen=True)
class Moment:
    """A point of the training step.

    Attributes:
        name: where in the step.
        parts: bytes on one GPU by what they are for.
    """

    name: str
    parts: dict[str, int]

    @property
    def total(self) -> int:
        """Bytes in all."""
        return sum(self.parts.values())


@dataclass(frozen=True)
class MemoryPlan:
    """The moments of a step on the GPU that is fullest.

    Attributes:
        moments: in their order.
    """

    moments: tuple[Moment, ...]

    @property
    def peak(self) -> Moment:
        """The fullest moment."""
        return max(self.moments, key=lambda moment: moment.total)


PARTS = ("weights", "optimizer state", "gradients", "gathered weights", "buckets", "activations", "loss", "passing")


def memory_plan(shape: ModelShape, work: Workload, layout: Layout, use_cpu: bool | None = None) -> MemoryPlan:
    """The moments of a training step.

    Args:
        shape: the model.
        work: what one process does.
        layout: how state is spread. With the weights offloaded, weights and optimizer state take no GPU memory.
        use_cpu: the processes are on CPUs, where some of torch's choices differ; None takes the layout's.

    Raises:
        InputError: the sizes of the layout do not divide the model or the sequence.
    """
    check_divides(shape, work, layout)
    step = _Step(shape, work, layout, layout.use_cpu if use_cpu is None else use_cpu)
    return MemoryPlan(tuple(step.moments()))


def check_divides(shape: ModelShape, work: Workload, layout: Layout) -> None:
    """Raises InputError where tensor parallelism does not divide the model, or context parallelism the sequence."""
    for name in ("num_attention_heads", "num_key_value_heads", "intermediate_size", "vocab_size"):
        if getattr(shape, name) % layout.tensor:
            raise InputError(f"{name} {getattr(shape, name):,} does not divide by tensor parallel size {layout.tensor}")
    # Each process has two stretches of the sequence, one early and one late, so that causal work is shared evenly.
    if layout.context > 1 and work.sequence_length % (2 * layout.context):
        raise InputError(
            f"sequence_length {work.sequence_length:,} does not divide by twice the context parallel size "
            f"{layout.context}"
        )


class _Step:
    """The bytes of one step, part by part."""

    def __init__(self, shape: ModelShape, work: Workload, layout: Layout, use_cpu: bool):
        self.shape, self.work, self.layout, self.use_cpu = shape, work, layout, use_cpu
        self.arithmetic = Arithmetic.of(layout.mixed_precision, layout.strategy)
        self.tokens = work.sequences * work.sequence_length // layout.context
        self.accumulates = work.accumulation > 1
        self.fsdp = layout.strategy == "fsdp"
        # Parameters of one process before sharding: tensor parallelism splits the layers' matrices and the head.
        matrices = shape.layer_matrix_parameters // layout.tensor
        self.layer = matrices + shape.layer_parameters - shape.layer_matrix_parameters
        self.head = shape.head_parameters // layout.tensor
        self.embedding = shape.embedding_parameters
        self.parameters = shape.num_hidden_layers * self.layer + self.embedding + self.head + shape.hidden_size
        self.shards = layout.shard_ways
        checkpointing = work.checkpointing or layout.activation_checkpointing
        self.checkpointed = math.ceil(shape.num_hidden_layers / work.checkpoint_every) if checkpointing else 0

    def moments(self) -> list[Moment]:
        kept, one, first = self._kept_by_layers(), self._one_layer(), self._input_of_layer()
        head = self._head_activations()
        layer_grads = (self.parameters - self.embedding - self.head) / self.parameters
        head_grads, embed_grads = self.head / self.parameters, self.embedding / self.parameters
        down = self.shape.hidden_size * self.shape.intermediate_size // self.layout.tensor / self.parameters
        backward = self._layer_backward()
        # A layer that was checkpointed is computed again first; what it keeps then stands beside the checkpoints.
        again = one - first if self.checkpointed else 0
        forward_loss, backward_loss, head_loss = self._loss()
        layer_copies, head_copy = self._autocast_copies()
        all_copies = self.shape.num_hidden_layers * layer_copies + head_copy
        # Checkpointed layers cast their weights again; what the others read stays until their backward pass.
        whole = self.shape.num_hidden_layers - self.checkpointed
        left = max(whole, 1) * layer_copies + head_copy
        moments = [
            ("forward pass, last layer", "forward", 0, kept, self._layer_forward(), 0, all_copies),
            ("forward pass, loss", "forward", 0, kept + head, 0, forward_loss, all_copies),
            ("backward pass, loss", "forward", 0, kept + head, 0, backward_loss, left),
            ("backward pass, head", "head", head_grads, kept + head, self._fresh(self.head), head_loss, left),
            ("backward pass, last layer", "layer", head_grads + down, kept + again, backward, 0, left - head_copy),
            ("backward pass, first layer", "layer", head_grads + layer_grads, one, backward, 0, layer_copies),
            ("backward pass, embedding", "embedding", 1, self._stream(), self._fresh(self.embedding), 0, 0),
        ]
        assert abs(head_grads + layer_grads + embed_grads - 1) < 1e-9
        found = [self._moment(*moment) for moment in moments]
        return [*found, self._optimizer_moment()]

    def _moment(
        self, name: str, phase: str, done: float, activations: float, passing: float, loss: float, copies: float
    ) -> Moment:
        gathered = self._gathered(phase) + copies
        return Moment(
            name,
            {
                **self._state(),
                "gradients": round(self._gradients(done)),
                "gathered weights": round(gathered),
                "buckets": self._buckets(),
                "activations": round(activations),
                "loss": round(loss),
                "passing": round(passing),
            },
        )

    def _optimizer_moment(self) -> Moment:
        passing = 0
        if not self.work.optimizer.endswith("_fused") and self.work.optimizer_bytes and not self.use_cpu:
            passing = 4 * self.parameters // self.shards  # torch's foreach form holds the root of the second moment
        if self.layout.offload_optimizer:
            passing = 0
        gradients = self._sharded_gradients() if self.fsdp else self._gradients(1)
        parts = {**self._state(), "gradients": round(gradients), "gathered weights": 0, "buckets": self._buckets()}
        return Moment("optimizer", {**parts, "activations": 0, "loss": 0, "passing": passing})

    # What is always there.

    def _state(self) -> dict[str, int]:
        """Weights and optimizer state.

        One process, DDP and FSDP2 hold the weights in fp32, which are AdamW's master weights too, and its moments;
        accelerate's FSDP2 turns weights of 16 bits into fp32 first. DeepSpeed in 16 bits holds 2 bytes of weights and
        an fp32 copy as part of the optimizer's state (Rajbhandari et al., section 3.1: 2 + 2 + 12 bytes a parameter).
        """
        p, shards, state = self.parameters, self.shards, self.work.optimizer_bytes
        if self.layout.strategy.startswith("zero"):
            stage = int(self.layout.strategy[-1])
            size = 4 if self.arithmetic.name == "fp32" else 2
            weights = size * p // (shards if stage == 3 else 1)
            moments = (state + (4 if size == 2 else 0)) * p // shards
        else:
            weights, moments = 4 * p // shards, state * p // shards
        return {
            "weights": 0 if self.layout.offload_parameters else weights,
            "optimizer state": 0 if self.layout.offload_optimizer else moments,
        }

    def _gradients(self, done: float) -> float:
        """Gradients when the share `done` of the backward pass is over.

        From the second pass of an accumulation on they are all there from the start. FSDP2 shards them in the
        weights' fp32; but while it accumulates, Trainer holds back the communication, and each process has whole
        gradients in the precision of the gathered weights. ZeRO-2 and ZeRO-3 shard theirs after every pass.
        """
        share = 1.0 if self.accumulates else done
        strategy, p = self.layout.strategy, self.parameters
        if self.fsdp:
            if self.accumulates and self.layout.reduces_once and not self.work.sync_each_batch:
                return self.arithmetic.matrix * p
            return self._sharded_gradients() * share
        if strategy.startswith("zero"):
            size = 4 if self.arithmetic.name == "fp32" else 2
            return size * p * share / (1 if strategy == "zero1" else self.shards)
        return 4 * p * share

    def _sharded_gradients(self) -> float:
        return 0 if self.layout.offload_parameters else 4 * self.parameters / self.shards

    def _buckets(self) -> int:
        """Copies of gradients that DDP keeps for communication, all of them; DeepSpeed's two buckets."""
        if self.layout.strategy == "ddp" and self.layout.processes > 1:
            return 4 * self.parameters
        if self.layout.strategy.startswith("zero"):
            size = 4 if self.arithmetic.name == "fp32" else 2
            return 2 * size * min(DEEPSPEED_BUCKET, self.parameters)
        return 0

    def _fresh(self, parameters: int) -> float:
        """A gradient that is whole before it is added to those of earlier passes."""
        return self._gradient_size() * parameters if self.accumulates and parameters else 0

    def _gradient_size(self) -> int:
        return self.arithmetic.matrix if self.arithmetic.name == "half" else 4

    # Copies of weights.

    def _gathered(self, phase: str) -> float:
        """Whole weights that FSDP2 or ZeRO-3 have gathered, and gradients on their way to their shards.

        Forward: one layer computes, the next is gathered into a buffer and copied out of it. Backward: besides these,
        the layer's gradients, their copy that is being reduced, and the copy of the layer before; FSDP's copies are in
        fp32. accelerate makes
        the embedding a unit of its own, and the last norm with the head another, which is kept from the forward to the
        backward pass. Without resharding, all that was gathered is kept.
        """
        strategy = self.layout.strategy
        if not (self.fsdp or strategy == "zero3") or self.shards == 1:
            return 0
        count, size = self.shape.num_hidden_layers, self.arithmetic.matrix
        keeps = self.fsdp and not self.layout.reshard_after_forward
        # (layers' worth of weights alive with resharding, of buffers among them)
        alive, buffers = {"forward": (3, 1), "head": (2, 0), "layer": (6, 3), "embedding": (0, 0)}[phase]
        layers = (count + buffers if keeps else min(alive, count + buffers)) * self.layer
        head = {"forward": 1, "head": 3, "layer": 0, "embedding": 0}[phase] * self.head
        embedding = (3 if phase == "embedding" else int(keeps)) * self.embedding
        copies = {"forward": 0, "head": self.head, "layer": 2 * self.layer, "embedding": self.embedding}[phase]
        return size * (layers + head + embedding) + (4 - size if self.fsdp else 0) * copies

    def _autocast_copies(self) -> tuple[int, int]:
        """16-bit copies of the fp32 weights of a layer, and of the head, that autocast makes: all are cached until the
        end of the forward pass, and kept where the backward pass needs them."""
        if self.arithmetic.name != "autocast":
            return 0, 0
        return 2 * self.layer, 2 * self.shape.vocab_size * self.shape.hidden_size

    # What comes and goes.

    def _one_layer(self) -> float:
        keys, tensor = self.work.sequence_length, self.layout.tensor
        return self.tokens * layer_bytes(self.shape, self.arithmetic, self.work.attention, keys, tensor)

    def _input_of_layer(self) -> float:
        return self.tokens * checkpoint_bytes(self.shape, self.arithmetic)

    def _kept_by_layers(self) -> float:
        whole = self.shape.num_hidden_layers - self.checkpointed
        return whole * self._one_layer() + self.checkpointed * self._input_of_layer() + self._mask()

    def _mask(self) -> float:
        """The additive mask of eager attention, for all layers."""
        work = self.work
        if work.attention != "eager":
            return 0
        return work.sequence_length * work.sequence_length // self.layout.context * self.arithmetic.residual

    def _stream(self) -> float:
        return self.tokens * self.shape.hidden_size * self.arithmetic.residual

    def _head_activations(self) -> float:
        """Kept by the last norm and the head that reads it, or by the chunked loss."""
        width, arithmetic = self.shape.hidden_size, self.arithmetic
        if arithmetic.name == "autocast":
            return self.tokens * (width * (4 + 4 + 2) + 4)
        return self.tokens * (width * (4 + 2 * arithmetic.matrix) + 4)

    def _layer_forward(self) -> float:
        extra = forward_passing_bytes(
            self.shape, self.arithmetic, self.work.attention, self.work.sequence_length, self.layout.tensor
        )
        # A checkpointed layer keeps only its input, but is whole while it runs.
        again = self._one_layer() - self._input_of_layer() if self.checkpointed else 0
        return again + self.tokens * extra + self._context_keys()

    def _layer_backward(self) -> float:
        extra = backward_passing_bytes(
            self.shape, self.arithmetic, self.work.attention, self.work.sequence_length, self.layout.tensor
        )
        return self.tokens * extra + 2 * self._context_keys()

    def _context_keys(self) -> float:
        """Keys and values of the other parts of the sequence, which context parallelism brings in for one layer."""
        if self.layout.context == 1:
            return 0
        whole = self.work.sequences * self.work.sequence_length
        return 2 * whole * self.shape.key_value_size * self.arithmetic.matrix // self.layout.tensor

    def _loss(self) -> tuple[float, float, float]:
        """Bytes of the loss at the end of the forward pass, in its backward pass, and in that of the head."""
        # Under tensor parallelism each process has a part of the vocabulary, and the logits are gathered whole.
        return self._chunked_loss() if self.work.chunked_loss and self.layout.tensor == 1 else self._whole_loss()

    def _whole_loss(self) -> tuple[float, float, float]:
        """The logits of all tokens.

        Forward: the logits and, kept for the backward pass, their log-softmax in fp32; in 16 bits, an fp32 copy of the
        logits for it. Backward: log-softmax, the gradient of the negative log-likelihood and that of the logits.
        """
        logits, stream = self.tokens * self.shape.vocab_size, self._stream()
        if self.arithmetic.matrix == 4:
            return 8 * logits, 12 * logits, 4 * logits + stream
        return 10 * logits, 12 * logits, 2 * logits + stream

    def _chunked_loss(self) -> tuple[float, float, float]:
        """The logits of one chunk of tokens, in fp32.

        In fp32 torch's linear_cross_entropy computes the gradients of states and head with the loss and keeps them
        until the backward pass. In 16 bits chunked_loss.py asks for the losses one by one, and the gradients are made
        in the backward pass; on a CPU with the head in fp32, its gradient in fp32 and, while that is taken off, two
        copies more.
        """
        head, states = self.shape.vocab_size * self.shape.hidden_size, self.tokens * self.shape.hidden_size
        chunk = 4 * self.chunk_tokens() * self.shape.vocab_size
        if self.arithmetic.matrix == 4:
            fresh = 4 * head if self.accumulates else 0
            return chunk + 4 * states + 4 * head, 4 * states + 4 * head, 4 * states + fresh
        if self.use_cpu:
            return chunk + 4 * head, chunk + (4 + 4 + 2 + 8) * head + 6 * states, 2 * head + 2 * states
        return chunk, chunk + 2 * head + 2 * states, 2 * head + 2 * states

    def chunk_tokens(self) -> int:
        """Tokens in a chunk of the loss: those given, else 256 on the CPU, else torch's `aspect_ratio:2`."""
        if self.work.chunk_tokens or self.use_cpu:
            return min(self.work.chunk_tokens or CPU_CHUNK_TOKENS, self.tokens)
        target = math.ceil(self.tokens / math.ceil(self.shape.vocab_size / self.shape.hidden_size))
        return max(1, min((1 << (target - 1).bit_length()) // 2, self.tokens))
