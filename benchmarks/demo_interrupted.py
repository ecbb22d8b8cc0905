"""Kills the demo at random moments, goes on, and compares everything it made with a demo that nobody killed.

python benchmarks/demo_interrupted.py [--kills 10]     writes the section "The demo, killed" of RESULTS.md

The moments are drawn evenly over the time that the whole demo took. Every process of it is killed with -9 at once.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from results import machine, table, write_section

from nec13b.run_record import read_json, write_json

ROOT = Path(__file__).parent.parent
# What tells of a run and not of its result: when, how fast, after which interruptions.
OF_THE_RUN = {
    "checkpoint-*", "logs", "metrics.jsonl", ".lock", "made_from.json", "prepared.json", "campaign.sqlite*",
    "training.json",
}  # fmt: skip
# "files" of a source and the "state" of a checkpoint go by times of change.
TIMES = {
    "files",
    "state",
    "started",
    "timings_seconds",
    "seconds",
    "time",
    "machine",
    "plan",
    "git_commit",
    "versions",
    "resumed_from",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output_dir", type=Path, default=Path("runs/demo_interrupted"))
    arguments = parser.parse_args()
    whole, killed = arguments.output_dir / "whole", arguments.output_dir / "killed"
    note = arguments.output_dir / "whole.json"
    if not note.is_file():
        started = time.monotonic()
        wait_for(start(whole), None)
        write_json(note, {"seconds": round(time.monotonic() - started, 1)})
    seconds = read_json(note, __file__)["seconds"]
    draw = random.Random(arguments.seed)
    moments = sorted(draw.uniform(0, seconds) for _ in range(arguments.kills))
    rows = []
    for number, (before, moment) in enumerate(zip([0.0, *moments], moments), start=1):
        process = start(killed)
        ended = wait_for(process, moment - before)
        rows.append([str(number), f"{moment - before:.0f}", "it had ended" if ended else stage_at_work(killed)])
        print(*rows[-1], flush=True)
    started = time.monotonic()
    wait_for(start(killed), None)
    last = time.monotonic() - started
    same, different = compared(whole, killed)
    for name in different:
        print("different:", name)
    differ = f" These differ: {', '.join(f'`{name}`' for name in different)}." if different else ""
    body = (
        f"`python benchmarks/demo_interrupted.py --kills {arguments.kills}` on {machine()}. The whole demo took "
        f"{seconds / 60:.1f} minutes; after the last kill it took {last / 60:.1f} more. Of {same + len(different)} "
        f"files that the two left, {same} are the same: weights, tokens and texts byte for byte, pictures pixel for "
        f"pixel, records and tables but for times and paths.{differ}\n\n"
    )
    write_section("The demo, killed", body + table(["kill", "after s", "at work on"], rows))


def start(folder: Path) -> subprocess.Popen:
    """The demo in a session of its own, so that all of its processes can be killed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.log").open("a") as log:
        return subprocess.Popen(
            ["make", "demo", f"DEMO={folder}"], cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )


def wait_for(process: subprocess.Popen, seconds: float | None) -> bool:
    """Waits for the end, or kills all after some seconds; whether it had ended by itself."""
    try:
        if process.wait(seconds):
            raise SystemExit("the demo failed; its log says why")
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False
    return True


def stage_at_work(folder: Path) -> str:
    """The last script that the log names."""
    scripts = re.findall(r"(?:recipes|evaluation)/\w+\.py", folder.with_name(f"{folder.name}.log").read_text())
    return scripts[-1] if scripts else "set-up"


def compared(whole: Path, killed: Path) -> tuple[int, list[str]]:
    """How many files are the same, and the names of those that are not, or that only one folder has."""
    files = [set(artifacts(folder)) for folder in (whole, killed)]
    common = sorted(files[0] & files[1])
    same = [name for name in common if content(whole / name, whole) == content(killed / name, killed)]
    return len(same), [str(name) for name in sorted((files[0] | files[1]) - set(same))]


def artifacts(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if path.is_file() and not any(Path(part).match(pattern) for part in name.parts for pattern in OF_THE_RUN):
            yield name


def content(path: Path, folder: Path) -> object:
    """What is compared of a file."""
    if path.suffix == ".png":
        return np.asarray(Image.open(path)).tobytes()
    if path.suffix in (".html", ".md", ".json", ".jsonl"):
        text = path.read_text(encoding="utf-8").replace(str(folder.resolve()), "DEMO").replace(str(folder), "DEMO")
        if path.suffix in (".html", ".md"):
            return re.sub(r"\b\d+ (?:h|min|s)\b|\d{4}-\d\d-\d\d", "", text)
        parts = [text] if path.suffix == ".json" else text.splitlines()
        return [without_times(json.loads(part)) for part in parts]
    return path.read_bytes()


def without_times(value: object) -> object:
    if isinstance(value, dict):
        return {name: without_times(part) for name, part in value.items() if name not in TIMES}
    return [without_times(part) for part in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
