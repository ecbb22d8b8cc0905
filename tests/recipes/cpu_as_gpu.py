"""Runs a script with accelerate taking the CPU (gloo) for a GPU, which lets FSDP2, tensor and context parallelism run
on a machine without one:

accelerate launch --config_file <a GPU config> tests/recipes/cpu_as_gpu.py script.py flags...
"""

import runpy
import sys

import torch
from accelerate.state import DistributedType, PartialState
from torch.distributed.tensor import DTensor, Shard
from torch.distributed.tensor.experimental._context_parallel import _attention as ring

ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
ATTENTION_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward.default
SEQUENCE = 2  # (batch, heads, sequence, channels)


def take_the_cpu(self):
    self.device = torch.device("cpu")


def ring_attention(operator, args, kwargs):
    """torch's ring attention around the CPU's kernel: torch has the ring, but names only GPU kernels for it."""
    mesh = args[0].device_mesh
    args = [value.to_local() if isinstance(value, DTensor) else value for value in args]
    names = [argument.name for argument in operator._schema.arguments]
    given = dict(zip(names, args)) | kwargs
    given.pop("attn_mask", None)
    if operator is ATTENTION:
        results = ring._templated_ring_attention(mesh.get_group(), SEQUENCE, operator, **given)
    else:
        results = ring._templated_ring_attention_backward(
            mesh.get_group(), SEQUENCE, operator, grad_out_name="grad_out", **given
        )
    return tuple(DTensor.from_local(result, mesh, [Shard(SEQUENCE)], run_check=False) for result in results)


PartialState._prepare_backend = lambda self, *arguments: ("gloo", DistributedType.MULTI_GPU)
PartialState.set_device = take_the_cpu
torch.accelerator.is_available = lambda: True
ring.custom_ops |= {ATTENTION: ring_attention, ATTENTION_BACKWARD: ring_attention}
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
