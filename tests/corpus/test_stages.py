"""Stages run each task once, go on after an interruption, and refuse what an executor does not know."""

import contextlib
import multiprocessing
import signal
import stat
import sys
import time
from pathlib import Path

import pytest
from datatrove.pipeline.base import PipelineStep

from nec13b.corpus.stages import ExecutorSettings, RayExecutor, Stage, no_room_on_ray, run_stages
from nec13b.errors import InputError
from nec13b.run_record import write_json


class Note(PipelineStep):
    """Adds a line to a file of its task; the task `breaks_at` fails as long as the file `allowed` is missing."""

    name = "note"

    def __init__(self, folder: Path, breaks_at: int = -1):
        super().__init__()
        self.folder, self.breaks_at = folder, breaks_at

    def run(self, data=None, rank: int = 0, world_size: int = 1) -> None:
        if rank == self.breaks_at and not (self.folder / "allowed").exists():
            raise ValueError("not yet")
        with (self.folder / f"{rank}.txt").open("a") as file:
            file.write(f"{world_size}\n")


@pytest.mark.parametrize("workers", [1, 2])
def test_what_has_ended_is_not_done_again(tmp_path, workers):
    stages = [Stage("first", [Note(tmp_path, breaks_at=2)], 4)]
    settings = ExecutorSettings(workers=workers)
    with pytest.raises(ValueError, match="not yet"):
        run_stages(stages, tmp_path / "logs", settings)
    (tmp_path / "allowed").touch()
    assert run_stages(stages, tmp_path / "logs", settings)
    assert run_stages(stages, tmp_path / "logs", settings)
    assert [(tmp_path / f"{rank}.txt").read_text() for rank in range(4)] == ["4\n"] * 4


def test_a_stage_waits_for_the_one_before(tmp_path, capsys):
    class Count(Note):
        def run(self, data=None, rank: int = 0, world_size: int = 1) -> None:
            assert len(list(self.folder.glob("*.txt"))) == 3

    run_stages([Stage("a", [Note(tmp_path)], 3), Stage("b", [Count(tmp_path)], 2)], tmp_path / "l", ExecutorSettings())
    assert capsys.readouterr().out == "a: 3 of 3 tasks\nb: 2 of 2 tasks\n"


class WaitForTheEnd(Note):
    """Says that it has begun, and then does what swallows an exception that a signal's handler raises."""

    def run(self, data=None, rank: int = 0, world_size: int = 1) -> None:
        (self.folder / "begun").touch()
        while True:
            with contextlib.suppress(SystemExit):
                time.sleep(1)


def test_a_task_of_a_job_on_ray_ends_when_it_is_told_to(tmp_path):
    """Ray's handler of SIGTERM raises SystemExit; where that was swallowed, a job once waited for ever."""

    def job():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        RayExecutor([WaitForTheEnd(tmp_path)], tasks=1, logging_dir=str(tmp_path / "logs"))._run_for_rank(0)

    process = multiprocessing.get_context("fork").Process(target=job)
    process.start()
    while process.is_alive() and not (tmp_path / "begun").exists():
        time.sleep(0.01)
    process.terminate()
    process.join(20)
    status = process.exitcode
    process.kill()
    assert status == -signal.SIGTERM


@pytest.mark.parametrize(
    ("cpus", "gib_per_cpu", "said"),
    [
        (4, 2, ""),
        (2, 8, ""),
        (5, 1, "no room for a task of 5 CPUs and 5 GiB: this machine gives it 4 CPUs and 16.0 GiB"),
        (2, 8.1, "no room for a task of 2 CPUs and 16.2 GiB"),
    ],
)
def test_a_task_that_no_server_has_room_for_is_told(cpus, gib_per_cpu, said):
    """Ray itself waits for such a server for ever."""
    resources = [{"CPU": 4.0, "memory": 16 * 2**30}, {"CPU": 1.0, "memory": 2**30}, {"CPU": 64.0, "memory": 2**40}]
    nodes = [{"Alive": number < 2, "Resources": each} for number, each in enumerate(resources)]
    found = no_room_on_ray(nodes, cpus, gib_per_cpu)
    assert bool(found) == bool(said)
    assert said in found


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (ExecutorSettings("dask"), "executor must be one of local, slurm, ray, not 'dask'"),
        (ExecutorSettings(workers=-1), "workers must be at least 0"),
        (ExecutorSettings(options={"partition": "x"}), "local has no option 'partition'"),
        (ExecutorSettings(options={"local_tasks": 2}), "local has no option 'local_tasks'"),  # ours to decide
        (ExecutorSettings("slurm", options={"partition": "x"}), "slurm needs time"),
    ],
)
def test_settings_that_cannot_be_are_named(settings, said):
    with pytest.raises(InputError, match=said):
        settings.check()


def test_a_run_whose_jobs_wait_is_not_submitted_again(tmp_path, monkeypatch):
    (tmp_path / "squeue").write_text("#!/bin/sh\necho 12\necho 12\n")
    (tmp_path / "squeue").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(tmp_path))
    write_json(tmp_path / "logs" / "slurm.json", {"jobs": ["11", "12"]})
    settings = ExecutorSettings("slurm", options={"partition": "cpu", "time": "1:00:00"})
    with pytest.raises(InputError, match=r"still in Slurm's queue \(12\); wait, or call scancel 12"):
        run_stages([Stage("a", [Note(tmp_path)], 1)], tmp_path / "logs", settings)


def test_where_there_is_no_slurm_it_is_said_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = ExecutorSettings("slurm", options={"partition": "cpu", "time": "1:00:00"})
    with pytest.raises(InputError, match="sbatch failed"):
        run_stages([Stage("a", [Note(tmp_path)], 1)], tmp_path / "logs", settings)
