"""Kills the demo at random moments, goes on, and compares everything it made with a demo that nobody killed.

python benchmarks/demo_interrupted.py [--kills 10]     writes the section "The demo, killed" of RESULTS.md
python benchmarks/demo_interrupted.py --after base     kills it only when its pre-training is done: a section of its own

The moments are drawn evenly over the time that the whole demo took, or its part after a stage. Every process of it is
killed with -9 at once. What a kill cost of the work of a stage is done again, so that the last moments of the whole lie
before its last stages; --after gets there. It begins with a copy of what the undisturbed demo had made by then.
"""

import argparse
import json
import os
import random
import re
import shutil
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
# "files" of a source and the "state" of a checkpoint go by times of change; "record" and "evaluations" are fingerprints
# of files with times in them.
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
    "record",
    "evaluations",
}

# 3 min, a day, a commit, and the hours in a card's table of trainings
TIMES_IN_TEXT = re.compile(r"\b\d+ (?:h|min|s)\b|\d{4}-\d\d-\d\d|`[0-9a-f]{12}`|(?<=x cpu \| )[\d.]* \|")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--after", default="", help="A stage: the folder of the demo that it writes to.")
    parser.add_argument("--output_dir", type=Path, default=Path("runs/demo_interrupted"))
    arguments = parser.parse_args()
    whole = arguments.output_dir / "whole"
    # Of the same name: a model is called by the folder that it lies in, and its seeds follow from what it is called.
    place = f"killed_after_{arguments.after}" if arguments.after else "killed"
    killed = arguments.output_dir / place / whole.name
    note = arguments.output_dir / "whole.json"
    if not note.is_file():
        started = time.monotonic()
        wait_for(start(whole), None)
        write_json(note, {"seconds": round(time.monotonic() - started, 1)})
    seconds = left = read_json(note, __file__)["seconds"]
    if arguments.after:
        left = copy_stages(whole, killed, arguments.after)
    draw = random.Random(arguments.seed)
    moments = sorted(draw.uniform(0, left) for _ in range(arguments.kills))
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
    after = f" --after {arguments.after}" if arguments.after else ""
    part = f", {left / 60:.1f} of them after the stage `{arguments.after}`" if arguments.after else ""
    body = (
        f"`python benchmarks/demo_interrupted.py --kills {arguments.kills}{after}` on {machine()}. The whole demo "
        f"took {seconds / 60:.1f} minutes{part}; after the last kill it took {last / 60:.1f} more. Of "
        f"{same + len(different)} files that the two left, {same} are the same: weights, tokens and texts byte for "
        f"byte, pictures pixel for pixel, records and tables but for times, commits and folders.{differ}\n\n"
    )
    title = f"The demo, killed after its stage {arguments.after}" if arguments.after else "The demo, killed"
    write_section(title, body + table(["kill", "after s", "at work on"], rows))


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


def copy_stages(whole: Path, folder: Path, last: str) -> float:
    """Copies what the demo had made when a stage ended, and returns the seconds that it took from there to its end."""
    if folder.exists():
        raise SystemExit(f"{folder} is there already; remove it")
    ended = {path.parent.name: path.stat().st_mtime for path in whole.glob("*/run.json")}
    if last not in ended:
        raise SystemExit(f"--after must be one of {', '.join(sorted(ended, key=ended.get))}")
    for stage in (stage for stage, time_of in ended.items() if time_of <= ended[last]):
        shutil.copytree(whole / stage, folder / stage)  # with the times, by which make knows what is done
    return max(ended.values()) - ended[last]


def stage_at_work(folder: Path) -> str:
    """The script of the last command that make has shown."""
    log = folder.with_name(f"{folder.name}.log").read_text()
    scripts = re.findall(r"^\S*bin/(?:python|accelerate) .*?((?:recipes|evaluation)/\w+\.py)", log, re.MULTILINE)
    return scripts[-1] if scripts else "set-up"


def compared(whole: Path, killed: Path) -> tuple[int, list[str]]:
    """How many files are the same, and the names of those that are not, or that only one folder has."""
    files = [set(artifacts(folder)) for folder in (whole, killed)]
    common = sorted(files[0] & files[1])
    folders = [str(path) for folder in (whole, killed) for path in (folder.resolve(), folder)]
    folders.sort(key=len, reverse=True)  # one may be the beginning of another
    same = [name for name in common if content(whole / name, folders) == content(killed / name, folders)]
    return len(same), [str(name) for name in sorted((files[0] | files[1]) - set(same))]


def artifacts(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if path.is_file() and not any(Path(part).match(pattern) for part in name.parts for pattern in OF_THE_RUN):
            yield name


def content(path: Path, folders: list[str]) -> object:
    """What is compared of a file: all of it but times, and the folders of the two demos."""
    if path.suffix == ".png":
        return np.asarray(Image.open(path)).tobytes()
    if path.suffix in (".html", ".md", ".json", ".jsonl"):
        text = path.read_text(encoding="utf-8")
        for folder in folders:
            text = text.replace(folder, "DEMO")
        if path.suffix in (".html", ".md"):
            return TIMES_IN_TEXT.sub("", text)
        parts = [text] if path.suffix == ".json" else text.splitlines()
        return [without_times(json.loads(part)) for part in parts]
    return path.read_bytes()


def without_times(value: object) -> object:
    if isinstance(value, dict):
        return {name: without_times(part) for name, part in value.items() if name not in TIMES}
    return [without_times(part) for part in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
