"""The settings of a plan: those of the run that is planned, and the machines it is planned for."""

from dataclasses import dataclass, field

from ..errors import InputError
from .config import PretrainConfig
from .layout import Layout


@dataclass
class PlanSettings:
    """The machines that a run is planned for; stands before the run's own settings among the bases of a class."""

    machine: str | None = field(
        default=None, metadata={"help": "accelerate config of the machines. Default: one process on this CPU."}
    )
    num_machines: int | None = field(default=None, metadata={"help": "Servers, instead of the accelerate config's."})
    num_processes: int | None = field(
        default=None, metadata={"help": "GPUs in all, instead of the accelerate config's."}
    )
    gpu: str | None = field(
        default=None,
        metadata={
            "help": "a100-40gb, a100-80gb, h100-80gb, h200, l40s, rtx4090 or cpu. Default: a100-80gb, or cpu where "
            "the accelerate config says so."
        },
    )
    mfu: float | None = field(
        default=None, metadata={"help": "Model FLOPs utilisation, as PaLM defines it, of your runs. Default: 0.4."}
    )
    tokens_per_second: float | None = field(
        default=None, metadata={"help": "Tokens a second of one GPU that you have measured; MFU follows from them."}
    )
    price_per_gpu_hour: float | None = field(default=None, metadata={"help": "Price of a GPU for an hour."})
    output: str | None = field(default=None, metadata={"help": "Folder for plan.json. Default: none is written."})

    def __post_init__(self):
        for name in ("tokens_per_second", "price_per_gpu_hour", "num_machines", "num_processes"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise InputError(f"{name} must be above 0, not {value}")
        if self.mfu is not None and self.tokens_per_second is not None:
            raise InputError("mfu follows from tokens_per_second; give one of them")
        if not self.machine and (self.num_machines or self.num_processes):
            raise InputError("num_machines and num_processes need --machine, an accelerate config")
        super().__post_init__()

    def find_layout(self) -> Layout:
        """That of the planned machines; this one process is none of theirs."""
        if not self.machine:
            return Layout(use_cpu=True)
        return Layout.from_accelerate_config(self.machine, self.num_machines, self.num_processes)


@dataclass
class PlanConfig(PlanSettings, PretrainConfig):
    """Reckons memory, time and communication of a pre-training run, without building the model.

    Takes every setting of pretrain.py, from the same file and flags; with --of extend_context, those of that recipe.
    """
