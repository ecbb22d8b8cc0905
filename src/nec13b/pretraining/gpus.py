"""The GPUs that a plan can name: memory, arithmetic and links, from their makers' data sheets; and what is in use."""

import resource
import sys
import time
from dataclasses import dataclass, replace

import psutil
import torch

from ..errors import InputError

GIB = 2**30


@dataclass(frozen=True)
class Gpu:
    """One processor of a machine.

    Attributes:
        name: as `--gpu` takes it.
        memory: bytes.
        flops: dense matrix products in bf16 (fp32 on a CPU) per second at best; None where it has to be measured.
        within: bytes a second that it receives from its neighbours in the machine at best, all links together.
        across: bytes a second that it receives from other machines, its share of the machine's network cards.
        reserved: bytes that are never the model's: the driver's context, libraries' workspaces, NCCL's buffers.
    """

    name: str
    memory: int
    flops: float | None
    within: float
    across: float
    reserved: int = int(1.5 * GIB)

    @property
    def usable(self) -> int:
        """Bytes that a model can fill: the allocator loses about a twentieth in gaps."""
        return int((self.memory - self.reserved) * 0.95)


# Dense bf16 with fp32 accumulation, without sparsity. NVLink's data sheets add both directions up; here is one. The
# networks are those of the makers' own servers: eight cards of 200 Gb/s in a DGX A100, eight of 400 Gb/s in a DGX
# H100 and H200. Servers with L40S or RTX 4090 have PCIe 4.0 x16 (32 GB/s) between the GPUs; 200 and 100 Gb/s a server
# are usual.
GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu("a100-40gb", 40 * GIB, 312e12, 300e9, 25e9),  # A100 data sheet, 2021: NVLink 600 GB/s
        Gpu("a100-80gb", 80 * GIB, 312e12, 300e9, 25e9),
        Gpu("h100-80gb", 80 * GIB, 989e12, 450e9, 50e9),  # H100 SXM data sheet, 2023: NVLink 900 GB/s
        Gpu("h200", 141 * 10**9, 989e12, 450e9, 50e9),  # H200 data sheet, 2024
        Gpu("l40s", 48 * 10**9, 362e12, 32e9, 3.1e9),  # L40S data sheet, 2023
        Gpu("rtx4090", 24 * GIB, 165e12, 32e9, 1.6e9),  # Ada architecture white paper, 2022
        Gpu("cpu", 0, None, 10e9, 1.25e9, 0),  # memory, flops: this machine's; through memory; 10 Gb/s Ethernet
    )
}


def named_gpu(name: str, processes: int = 1, dtype: torch.dtype = torch.float32) -> Gpu:
    """The GPU of that name. For `cpu`, what each of `processes` has of this machine, measured where it must be.

    Args:
        name: as in GPUS.
        processes: of a machine, which share a CPU.
        dtype: that a CPU multiplies in.

    Raises:
        InputError: there is none.
    """
    gpu = GPUS.get(name.lower())
    if gpu is None:
        raise InputError(f"unknown gpu {name!r}; known are {', '.join(GPUS)}")
    if gpu.name == "cpu":
        memory, flops = psutil.virtual_memory().total, measured_flops(dtype)
        gpu = replace(gpu, memory=memory // processes, flops=flops / processes)
    return gpu


def gpu_of_this_process(device: torch.device, processes: int, dtype: torch.dtype) -> Gpu:
    """What this process trains on: one of GPUS by its name, or what can be found out about it.

    Args:
        device: where it trains.
        processes: of this machine, which share a CPU.
        dtype: of its matrix products.
    """
    if device.type != "cuda":
        return named_gpu("cpu", processes, dtype)
    properties = torch.cuda.get_device_properties(device)
    known = {"A100": "a100-80gb", "H100": "h100-80gb", "H200": "h200", "L40S": "l40s", "4090": "rtx4090"}
    for part, name in known.items():
        if part in properties.name:
            # The same GPU comes with more or less memory, and MIG gives a part of one.
            return replace(GPUS[name], memory=properties.total_memory)
    flops = measured_flops(dtype, str(device))
    return replace(GPUS["l40s"], name=properties.name, memory=properties.total_memory, flops=flops)


def measured_flops(dtype: torch.dtype = torch.float32, device: str = "cpu", seconds: float = 0.3) -> float:
    """Operations a second of square matrix products on this machine, the best of those that fit into `seconds`."""
    size = 1024 if device == "cpu" else 8192
    # No random numbers: training draws from the same generator.
    a, b = (torch.full((size, size), 0.5, dtype=dtype, device=device) for _ in range(2))
    best, end = 0.0, time.perf_counter() + seconds
    while best == 0.0 or time.perf_counter() < end:
        start = time.perf_counter()
        (a @ b)[0, 0].item()  # reading a number waits for the product
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


def memory_bytes(device: torch.device) -> int:
    """The memory that this process holds: of the GPU where it trains on one, else resident on the host."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else psutil.Process().memory_info().rss


def peak_memory_bytes(device: torch.device) -> int:
    """The most of it that this process has held."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
