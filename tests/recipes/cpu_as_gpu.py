"""Runs a script with accelerate taking the CPU (gloo) for a GPU, which lets FSDP2 run on a machine without one:

accelerate launch --config_file <an FSDP config> tests/recipes/cpu_as_gpu.py script.py flags...
"""

import runpy
import sys

import torch
from accelerate.state import DistributedType, PartialState


def take_the_cpu(self):
    self.device = torch.device("cpu")


PartialState._prepare_backend = lambda self, *arguments: ("gloo", DistributedType.MULTI_GPU)
PartialState.set_device = take_the_cpu
torch.accelerator.is_available = lambda: True
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
