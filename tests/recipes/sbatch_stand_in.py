"""Stands in for Slurm's sbatch: notes the job, runs its tasks one after another, and answers as sbatch does.

Usage: sbatch_stand_in.py FOLDER [sbatch's options] SCRIPT
"""

import os
import re
import subprocess
import sys
from pathlib import Path


def main() -> None:
    log, options, script = Path(sys.argv[1]), sys.argv[2:-1], Path(sys.argv[-1]).read_text()
    number = len(list(log.glob("*.slurm"))) + 1
    (log / f"{number:02d}.slurm").write_text(script)
    (log / f"{number:02d}.args").write_text(" ".join(options))
    if "merge_stats" not in script:
        exports = ",".join(option for option in options if option.startswith("--export=")).split(",")
        exported = dict(item.split("=", 1) for item in exports if item.startswith("RUN_OFFSET="))
        first, last = map(int, re.search(r"--array=(\d+)-(\d+)", script).groups())
        for task in range(first, last + 1):
            slurm = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_JOB_ID": str(number), "SLURM_NODELIST": "node1"}
            subprocess.run(
                ["bash", "-c", script], env={**os.environ, **exported, **slurm}, check=True, capture_output=True
            )
    print(f"Submitted batch job {number}")


if __name__ == "__main__":
    main()
