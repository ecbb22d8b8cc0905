"""Stands in for srun, scontrol and scancel inside a batch script: a server is a process, in a network namespace of its
own where SLURM_STAND_IN_NAMESPACES names some.

Usage: slurm_stand_in.py srun|scontrol|scancel, then as Slurm's own. What is asked for is noted in SLURM_STAND_IN_FOLDER
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SECONDS_TO_END_BY_ITSELF = 60


def scontrol(folder: Path, arguments: list[str]) -> int:
    if arguments[:2] == ["show", "hostnames"]:
        print(*arguments[2].split(","), sep="\n")
    else:
        (folder / "scontrol").open("a").write(" ".join(arguments) + "\n")
    return 0


def scancel(folder: Path, arguments: list[str]) -> int:
    number = signal.Signals[f"SIG{arguments[0].removeprefix('--signal=')}"]
    for pid in (folder / "tasks").read_text().split():
        os.kill(int(pid), number)
    return 0


def srun(folder: Path, arguments: list[str]) -> int:
    """Runs the command once a server; where one fails, the others are killed if they do not end by themselves."""
    command = [argument for argument in arguments if argument not in ("--kill-on-bad-exit=1", "--label")]
    namespaces = os.environ.get("SLURM_STAND_IN_NAMESPACES", "").split()
    tasks = []
    for node in range(int(os.environ["SLURM_NNODES"])):
        inside = ["ip", "netns", "exec", namespaces[node]] if namespaces else []
        tasks.append(subprocess.Popen([*inside, *command], env={**os.environ, "SLURM_NODEID": str(node)}))
    (folder / "tasks").write_text(" ".join(str(task.pid) for task in tasks))
    deadline = None
    while any(task.poll() is None for task in tasks):
        if deadline is None and any(task.poll() for task in tasks):
            deadline = time.monotonic() + SECONDS_TO_END_BY_ITSELF
        if deadline and time.monotonic() > deadline:
            (folder / "hung").touch()
            for task in tasks:
                task.kill()
        time.sleep(0.05)
    return max(task.returncode if task.returncode >= 0 else 128 - task.returncode for task in tasks)


if __name__ == "__main__":
    stand_in = {"scontrol": scontrol, "scancel": scancel, "srun": srun}[sys.argv[1]]
    sys.exit(stand_in(Path(os.environ["SLURM_STAND_IN_FOLDER"]), sys.argv[2:]))
