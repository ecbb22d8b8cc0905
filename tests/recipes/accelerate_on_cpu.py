"""`accelerate` for batch scripts in tests: the same command line, in fp32 and with the CPU taken for a GPU."""

import runpy
import sys
from pathlib import Path

script = next(i for i, argument in enumerate(sys.argv) if argument.startswith("recipes/"))
shim = str(Path(__file__).with_name("cpu_as_gpu.py"))
sys.argv = ["accelerate", *sys.argv[2:script], "--mixed_precision", "no", shim, *sys.argv[script:]]
runpy.run_module("accelerate.commands.launch", run_name="__main__")
