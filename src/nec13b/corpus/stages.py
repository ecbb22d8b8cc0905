"""Running the cleansing on one machine, on a Slurm cluster or on Ray, by datatrove's executors.

A run is a list of stages, each a datatrove pipeline over a number of tasks that does not depend on the number of
workers. A stage begins when the one before it has ended. What was finished stays finished: a run that is called again
goes on with the tasks that are missing, whichever executor it was begun with.
"""

import contextlib
import copy
import inspect
import io
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import dill
from datatrove.executor import LocalPipelineExecutor, RayPipelineExecutor, SlurmPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from loguru import logger
from tqdm import tqdm

from ..errors import InputError
from ..run_record import read_json, write_json
from .child_processes import end_with_parent

EXECUTORS = {"local": LocalPipelineExecutor, "slurm": SlurmPipelineExecutor, "ray": RayPipelineExecutor}
OURS = {
    "self", "pipeline", "tasks", "workers", "logging_dir", "depends", "skip_completed", "local_tasks",
    "local_rank_offset",
}  # fmt: skip
NEEDED_BY_SLURM = ("partition", "time")
SUBMITTED_NAME = "slurm.json"


@dataclass
class Stage:
    """One pass over the corpus.

    Attributes:
        name: what the logs, and people, call it.
        pipeline: datatrove's steps.
        tasks: how many tasks it is divided into.
    """

    name: str
    pipeline: list[PipelineStep]
    tasks: int


class AllowManyFiles(PipelineStep):
    """Comes before a step of datatrove's that opens a file of every part at once: as many as the system allows."""

    type = "📂 - FILES"
    name = "many files"

    def run(self, data=None, rank: int = 0, world_size: int = 1) -> None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@dataclass
class ExecutorSettings:
    """Where stages run.

    Attributes:
        executor: `local`, `slurm` or `ray`.
        workers: most tasks at once; 0 stands for all cores (local) or no limit.
        options: arguments of datatrove's executor, such as Slurm's `partition` and `time`; for Ray also `address`.
    """

    executor: str = "local"
    workers: int = 1
    options: dict = field(default_factory=dict)

    def check(self) -> None:
        """Raises InputError for an unknown executor or option, or where Slurm's needs are not named."""
        if self.executor not in EXECUTORS:
            raise InputError(f"executor must be one of {', '.join(EXECUTORS)}, not {self.executor!r}")
        if self.workers < 0:
            raise InputError(f"workers must be at least 0, not {self.workers}")
        known = set(inspect.signature(EXECUTORS[self.executor].__init__).parameters) - OURS
        known |= {"address"} if self.executor == "ray" else set()
        for name in self.options:
            if name not in known:
                raise InputError(
                    f"executor_options: {self.executor} has no option {name!r}; there are {', '.join(sorted(known))}"
                )
        if self.executor == "slurm":
            for name in NEEDED_BY_SLURM:
                if name not in self.options:
                    raise InputError(
                        f"executor_options: slurm needs {name}, as in {{partition: cpu, time: '24:00:00'}}"
                    )
        if self.executor == "ray":
            try:
                import ray  # noqa: F401
            except ImportError:
                raise InputError("executor ray needs the package ray: pip install 'nec13b[ray]'") from None


class LocalExecutor(LocalPipelineExecutor):
    """datatrove's local executor with other workers: one that dies ends the run with an error instead of a wait for
    ever, they end when the run is killed, and they tell of nothing on the terminal.
    """

    def run(self, ended_one: Callable[[], None] = lambda: None) -> None:
        """Runs the tasks that are not complete.

        Args:
            ended_one: called after each of them.

        Raises:
            InputError: a worker died.
        """
        ranks = self.get_incomplete_ranks()
        if not ranks:
            return
        # Bars of datatrove's steps start a thread that takes a lock every ten seconds; a worker forked in that moment
        # would wait for the lock for ever.
        tqdm.monitor_interval = 0
        self.save_executor_as_json()
        if self.workers == 1:
            for rank in ranks:
                copy.deepcopy(self)._run_for_rank(rank)
                ended_one()
            return
        arguments = (dill.dumps(self), os.getpid())
        method = multiprocessing.get_context(self.start_method)
        with ProcessPoolExecutor(self.workers, method, initializer=_begin_worker, initargs=arguments) as pool:
            tasks = [pool.submit(_run_in_worker, rank) for rank in ranks]
            try:
                for task in as_completed(tasks):
                    task.result()
                    ended_one()
            except BrokenProcessPool:
                raise InputError(
                    "a worker died, most likely for lack of memory; the same command goes on with what is left, "
                    "fewer --workers need less"
                ) from None
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1):
        with contextlib.redirect_stderr(io.StringIO()):  # bars of its steps, and errors, which are raised anyway
            return super()._run_for_rank(rank, local_rank, node_rank)


class RayExecutor(RayPipelineExecutor):
    """datatrove's Ray executor whose jobs end for certain.

    A job runs its tasks in processes that it ends by SIGTERM. They have inherited Ray's handler, which raises
    SystemExit, and where that falls into a finaliser it is lost, and the job would wait for ever.
    """

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        return super()._run_for_rank(rank, local_rank, node_rank)


_executor: LocalExecutor | None = None  # of a worker


def _begin_worker(pickled: bytes, parent: int) -> None:
    global _executor
    end_with_parent(parent)
    _executor = dill.loads(pickled)


def _run_in_worker(rank: int) -> None:
    copy.deepcopy(_executor)._run_for_rank(rank)


def run_stages(stages: list[Stage], folder: Path, settings: ExecutorSettings) -> bool:
    """Runs what is left of the stages.

    Args:
        stages: in order.
        folder: for logs and completion marks, one folder a stage.
        settings: from `ExecutorSettings`, checked.

    Returns:
        True when all stages have ended; False where they were handed to Slurm, which runs them when it can.
    """
    logger.remove()  # datatrove would tell of every task on the terminal; its log files have it all
    if settings.executor == "ray":
        return _run_on_ray(stages, folder, settings)
    if settings.executor == "slurm":
        return _submit_to_slurm(stages, folder, settings)
    workers = settings.workers or os.cpu_count() or 1
    # Workers that are forked share what this process has loaded; elsewhere than on Linux forking is not safe.
    options = {"start_method": "fork" if sys.platform == "linux" else "spawn", **settings.options}
    for stage in stages:
        executor = LocalExecutor(
            stage.pipeline,
            tasks=stage.tasks,
            workers=min(workers, stage.tasks),
            logging_dir=str(folder / stage.name),
            **options,
        )
        progress = _Progress(stage, stage.tasks - len(executor.get_incomplete_ranks()))
        executor.run(progress.ended_one)
    return True


def _run_on_ray(stages: list[Stage], folder: Path, settings: ExecutorSettings) -> bool:
    import ray

    options = dict(settings.options)
    address = options.pop("address", None) or os.environ.get("RAY_ADDRESS")
    if address:
        ray.init(address=address, ignore_reinit_error=True, log_to_driver=False)
    else:
        ray.init(
            num_cpus=settings.workers or os.cpu_count(),
            ignore_reinit_error=True,
            log_to_driver=False,
            include_dashboard=False,
        )
    try:
        for stage in stages:
            executor = RayExecutor(
                stage.pipeline,
                tasks=stage.tasks,
                workers=settings.workers or -1,
                logging_dir=str(folder / stage.name),
                **options,
            )
            # A cluster may grow by itself.
            if not address and (why := no_room_on_ray(ray.nodes(), executor.cpus_per_task, executor.mem_per_cpu_gb)):
                raise InputError(why)
            done = stage.tasks - len(executor.get_incomplete_ranks())
            print(f"{stage.name}: {stage.tasks - done} of {stage.tasks} tasks", flush=True)
            executor.run()
            if left := executor.get_incomplete_ranks():
                raise InputError(f"{stage.name}: {len(left)} tasks failed on Ray; see {folder / stage.name / 'logs'}")
    finally:
        ray.shutdown()
    return True


def no_room_on_ray(nodes: list[dict], cpus: int, gib_per_cpu: float) -> str:
    """Why Ray would wait for ever for a place to run a task; empty where it has one.

    Args:
        nodes: what `ray.nodes()` says.
        cpus: of a task.
        gib_per_cpu: memory of a task, for each of them.
    """
    wanted = cpus, cpus * gib_per_cpu
    there = [(node["Resources"].get("CPU", 0), node["Resources"].get("memory", 0) / 2**30)
             for node in nodes if node["Alive"]]  # fmt: skip
    if any(node[0] >= wanted[0] and node[1] >= wanted[1] for node in there):
        return ""
    largest = max(there, default=(0, 0))
    return (
        f"Ray has no room for a task of {wanted[0]} CPUs and {wanted[1]:g} GiB: this machine gives it {largest[0]:g} "
        f"CPUs and {largest[1]:.1f} GiB; lower cpus_per_task or mem_per_cpu_gb in executor_options, or raise workers"
    )


def _submit_to_slurm(stages: list[Stage], folder: Path, settings: ExecutorSettings) -> bool:
    _refuse_while_submitted(folder)
    executors: list[SlurmPipelineExecutor] = []
    for stage in stages:
        options = {"venv_path": f"{sys.prefix}/bin/activate", "mail_type": "NONE", **settings.options}
        executors.append(
            SlurmPipelineExecutor(
                stage.pipeline,
                tasks=stage.tasks,
                workers=settings.workers or -1,
                job_name=options.pop("job_name", "nec13b") + f"-{stage.name}",
                logging_dir=str(folder / stage.name),
                depends=executors[-1] if executors else None,
                **options,
            )
        )
    try:
        executors[-1].run()
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(f"sbatch failed: {getattr(error, 'stderr', None) or error}") from None
    finally:
        jobs = [str(executor.job_id) for executor in executors if executor.job_id not in (None, -1)]
        write_json(folder / SUBMITTED_NAME, {"jobs": jobs})
    return False


def _refuse_while_submitted(folder: Path) -> None:
    """Raises InputError while jobs of an earlier call wait or run: two jobs would write the same files."""
    if not (folder / SUBMITTED_NAME).is_file():
        return
    jobs = ",".join(read_json(folder / SUBMITTED_NAME, "recipes/clean_corpus.py")["jobs"])
    try:
        queue = subprocess.run(
            ["squeue", "--noheader", "--format=%A", f"--jobs={jobs}"], capture_output=True, text=True
        )
    except OSError:  # nobody can tell
        return
    if left := " ".join(sorted(set(queue.stdout.split()))):
        raise InputError(f"jobs of this run are still in Slurm's queue ({left}); wait, or call scancel {left}")


class _Progress:
    """One line a stage; where somebody looks on, it counts the tasks that have ended.

    It writes from the thread that runs the stage. A bar of tqdm would hold a lock from a thread of its own, and a
    worker that is forked in that moment would wait for it for ever.
    """

    def __init__(self, stage: Stage, done: int):
        self.stage, self.begun, self.live = stage, time.monotonic(), sys.stdout.isatty()
        self.first = self.done = done
        said = "done" if done == stage.tasks else f"{stage.tasks - done} of {stage.tasks} tasks"
        print(f"{stage.name}: {said}", flush=True, end="" if self.live and done < stage.tasks else "\n")

    def ended_one(self) -> None:
        """Tells that another task has ended."""
        self.done += 1
        if not self.live:
            return
        left = (self.stage.tasks - self.done) * (time.monotonic() - self.begun) / (self.done - self.first)
        said = f"{self.done} of {self.stage.tasks} tasks, {timedelta(seconds=round(left))} left"
        if self.done == self.stage.tasks:
            said = f"{self.stage.tasks} tasks, {timedelta(seconds=round(time.monotonic() - self.begun))}"
        print(f"\r{self.stage.name}: {said:<50}", flush=True, end="\n" if self.done == self.stage.tasks else "")
