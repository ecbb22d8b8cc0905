"""How much memory a command takes at most, together with all the processes it starts."""

import subprocess
import time

import psutil

SECONDS = 0.2  # between samples


def peaks_of(command: list[str]) -> tuple[int, int]:
    """(largest sum over all processes of a command, largest single process) while it runs, in bytes."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        root = psutil.Process(process.pid)
        together = largest = 0
        while process.poll() is None:
            shared, resident = 0, []
            for member in [root, *root.children(recursive=True)]:
                try:
                    memory = member.memory_full_info()
                except psutil.Error:  # it has just ended
                    continue
                shared += memory.pss
                resident.append(memory.rss)
            together, largest = max(together, shared), max([largest, *resident])
            time.sleep(SECONDS)
    if process.returncode:
        raise SystemExit(f"the run failed with status {process.returncode}")
    return together, largest
