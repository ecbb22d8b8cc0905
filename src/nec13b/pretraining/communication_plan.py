"""What the GPUs send each other in an optimizer step, and whether it hides behind their work.

Every layout has its own collectives. Each is counted by what one GPU receives: a ring over n members that gathers or
reduce-scatters a tensor of B bytes brings (n - 1) / n x B, an all-reduce twice that (Thakur et al., 2005; NCCL's
"bus bandwidth"). Where a group spans machines, each machine has to receive what lies outside it once, through all its
network cards together; that share is counted as crossing.
"""

from dataclasses import dataclass

from .gpus import Gpu
from .layout import Layout
from .memory_plan import Workload
from .model_shape import ModelShape

# Of a link's rate on the data sheet, what large collectives of NCCL reach.
EFFICIENCY = 0.75


@dataclass(frozen=True)
class Collective:
    """One kind of communication, over a whole optimizer step.

    Attributes:
        name: what is sent.
        within: bytes that a GPU receives from GPUs of its machine.
        across: bytes that it receives from other machines.
        seconds: that this takes, inside the machine and across at the same time.
        hidden_behind: seconds of computing that it can run beside; 0 where the computing waits for it.
    """

    name: str
    within: float
    across: float
    seconds: float
    hidden_behind: float

    @property
    def exposed(self) -> float:
        """Seconds that it adds to the step."""
        return max(0.0, self.seconds - self.hidden_behind)


@dataclass(frozen=True)
class CommunicationPlan:
    """All collectives of an optimizer step.

    Attributes:
        collectives: what is sent.
        computing: seconds of computing in the step.
    """

    collectives: tuple[Collective, ...]
    computing: float

    @property
    def within(self) -> float:
        """Bytes a GPU receives inside its machine."""
        return sum(each.within for each in self.collectives)

    @property
    def across(self) -> float:
        """Bytes a GPU receives from other machines."""
        return sum(each.across for each in self.collectives)

    @property
    def seconds(self) -> float:
        """Of all communication."""
        return sum(each.seconds for each in self.collectives)

    @property
    def exposed(self) -> float:
        """Seconds that communication adds to the step.

        What must be waited for, and what is more than the computing it could hide behind; collectives that hide
        behind the same computing share it.
        """
        waited = sum(each.seconds for each in self.collectives if not each.hidden_behind)
        hiding = [each for each in self.collectives if each.hidden_behind]
        room = max((each.hidden_behind for each in hiding), default=0.0)
        together = max(0.0, sum(each.seconds for each in hiding) - room)
        return waited + max([together, *(each.exposed for each in hiding)])

    @property
    def hides(self) -> bool:
        """Whether communication adds less than a twentieth to the step."""
        return self.exposed < 0.05 * self.computing


@dataclass(frozen=True)
class _Group:
    """Members of a collective, every `stride`-th rank."""

    members: int
    stride: int
    processes_per_machine: int

    def shares(self) -> tuple[float, float]:
        """(within, across): what a GPU receives of one gathered byte, of its neighbours and of other machines."""
        n = self.members
        together = max(1, min(n, self.processes_per_machine // self.stride))  # members in one machine
        received = (n - 1) / n
        if together == n:
            return received, 0.0
        # A machine's members receive what lies outside once among them, each through its own card.
        return (received if together > 1 else 0.0), (n - together) / n / together


def communication_plan(
    shape: ModelShape, work: Workload, layout: Layout, gpu: Gpu, computing: float
) -> CommunicationPlan:
    """The collectives of an optimizer step.

    Args:
        shape: the model.
        work: what one process does.
        layout: how state is spread.
        gpu: whose links are used.
        computing: seconds that a process computes in the step.
    """
    step = _Step(shape, work, layout, gpu, computing)
    found = [*step.data_parallel(), *step.tensor_parallel(), *step.context_parallel()]
    return CommunicationPlan(tuple(each for each in found if each.within + each.across > 0), computing)


class _Step:
    def __init__(self, shape: ModelShape, work: Workload, layout: Layout, gpu: Gpu, computing: float):
        self.shape, self.work, self.layout, self.gpu, self.computing = shape, work, layout, gpu, computing
        self.size = 4 if layout.mixed_precision == "no" else 2
        split = shape.num_hidden_layers * shape.layer_matrix_parameters + shape.head_parameters
        self.parameters = shape.parameters - split + split / layout.tensor
        self.recomputes = work.checkpointing or layout.activation_checkpointing
        # A backward pass costs two forward passes, and one more where layers are computed again.
        self.passes = 4 if self.recomputes else 3
        # The mesh runs replicate, shard, context, tensor, the last one fastest; FSDP2 shards over shard x context.
        self.shard_group = self._group(layout.shard_ways, layout.tensor)
        self.replicate_group = self._group(layout.replicate, layout.tensor * layout.shard_ways)
        self.context_group = self._group(layout.context, layout.tensor)
        self.tensor_group = self._group(layout.tensor, 1)

    def _group(self, members: int, stride: int) -> _Group:
        return _Group(members, stride, self.layout.processes_per_machine)

    def _collective(self, name: str, group: _Group, gathered: float, hidden_behind: float) -> Collective:
        """`gathered`: bytes of the tensors that are gathered or reduce-scattered; an all-reduce is both."""
        within, across = (share * gathered for share in group.shares())
        seconds = max(within / (self.gpu.within * EFFICIENCY), across / (self.gpu.across * EFFICIENCY))
        return Collective(name, within, across, seconds, hidden_behind)

    def data_parallel(self) -> list[Collective]:
        """FSDP2 and ZeRO-3 gather weights for every forward and every backward pass and reduce-scatter gradients;
        FSDP2 once in an accumulation, ZeRO-2 and ZeRO-3 after every pass. ZeRO-1 and ZeRO-2 reduce-scatter gradients
        and gather new weights (Rajbhandari et al., 2020, section 7). Gradients travel in fp32, with DeepSpeed in the
        precision of the weights; HSDP all-reduces those of its shards."""
        whole, passes = self.size * self.parameters, self.work.accumulation
        backward = self.computing * (self.passes - 1) / self.passes
        last_backward = backward / passes
        strategy, shard = self.layout.strategy, self.shard_group
        if strategy in ("fsdp", "zero3"):
            gradients = whole if strategy == "zero3" else 4 * self.parameters
            gathers = 2 if strategy == "zero3" or self.layout.reshard_after_forward else 1
            once = self.layout.reduces_once and not self.work.sync_each_batch
            scatters, behind = (1, last_backward) if once else (passes, backward)
            found = [
                self._collective("gather weights", shard, whole * passes * gathers, self.computing),
                self._collective("reduce-scatter gradients", shard, gradients * scatters, behind),
            ]
            if self.layout.replicate > 1:
                reduced = 2 * gradients / self.layout.shard_ways
                found.append(
                    self._collective("all-reduce gradients of shards", self.replicate_group, reduced, last_backward)
                )
            return found
        if strategy in ("zero1", "zero2"):
            scatters, behind = (passes, backward) if strategy == "zero2" else (1, last_backward)
            return [
                self._collective("reduce-scatter gradients", shard, whole * scatters, behind),
                self._collective("gather new weights", shard, whole, 0),
            ]
        if strategy == "ddp":
            return [self._collective("all-reduce gradients", self.replicate_group, 8 * self.parameters, last_backward)]
        return []

    def tensor_parallel(self) -> list[Collective]:
        """Two all-reduces of the states a layer and forward pass, two in its backward pass (Shoeybi et al., 2019), and
        the logits of the head gathered. The layer waits for them."""
        if self.layout.tensor == 1:
            return []
        tokens = self.work.sequences * self.work.sequence_length // self.layout.context
        states = self.size * tokens * self.shape.hidden_size * self.work.accumulation
        reduces = self.shape.num_hidden_layers * (6 if self.recomputes else 4)
        logits = self.size * tokens * self.shape.vocab_size * self.work.accumulation
        return [
            self._collective("all-reduce states (tensor parallel)", self.tensor_group, 2 * states * reduces, 0),
            self._collective("gather logits (tensor parallel)", self.tensor_group, logits, 0),
        ]

    def context_parallel(self) -> list[Collective]:
        """Keys and values of the other parts of the sequence for every forward pass, and again, with their gradients
        going back, for the backward pass. A ring computes with one part while the next arrives."""
        if self.layout.context == 1:
            return []
        whole = self.work.sequences * self.work.sequence_length * 2 * self.shape.key_value_size / self.layout.tensor
        times = self.work.accumulation * self.shape.num_hidden_layers * (4 if self.recomputes else 3)
        size = self.size * whole * times
        return [self._collective("keys and values (context parallel)", self.context_group, size, self.computing)]
