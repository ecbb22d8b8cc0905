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
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

import dill
from datatrove.executor import LocalPipelineExecutor, RayPipelineExecutor, SlurmPipelineExecutor
from datatrove.executor.base import PipelineExecutor
from datatrove.pipeline.base import PipelineStep
from tqdm import tqdm

from ..errors import InputError

EXECUTORS = {"local": LocalPipelineExecutor, "slurm": SlurmPipelineExecutor, "ray": RayPipelineExecutor}
OURS = {"self", "pipeline", "tasks", "workers", "logging_dir", "depends", "skip_completed"}
NEEDED_BY_SLURM = ("partition", "time")
SECONDS_BETWEEN_LOOKS = 0.5


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
    """datatrove's local executor with other workers: they tell of nothing on the terminal, one that dies ends the run
    with an error instead of a wait for ever, and they end themselves if the run is killed.
    """

    def run(self) -> None:
        """Runs the tasks that are not complete.

        Raises:
            InputError: a worker died.
        """
        ranks = self.get_incomplete_ranks()
        if not ranks:
            return
        self.save_executor_as_json()
        if self.workers == 1:
            for rank in ranks:
                copy.deepcopy(self)._run_for_rank(rank)
            return
        arguments = (dill.dumps(self), os.getpid())
        method = multiprocessing.get_context(self.start_method)
        with ProcessPoolExecutor(self.workers, method, initializer=_begin_worker, initargs=arguments) as pool:
            tasks = [pool.submit(_run_in_worker, rank) for rank in ranks]
            try:
                for task in as_completed(tasks):
                    task.result()
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


_executor: LocalExecutor | None = None  # of a worker


def _begin_worker(pickled: bytes, parent: int) -> None:
    """Takes over the executor, and watches that the process which started this one is alive."""
    global _executor
    _executor = dill.loads(pickled)

    def end_with_parent() -> None:
        while os.getppid() == parent:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


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
        with _Progress(executor, stage):
            executor.run()
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
            executor = RayPipelineExecutor(
                stage.pipeline,
                tasks=stage.tasks,
                workers=settings.workers or -1,
                logging_dir=str(folder / stage.name),
                **options,
            )
            with _Progress(executor, stage):
                executor.run()
            if left := executor.get_incomplete_ranks():
                raise InputError(f"{stage.name}: {len(left)} tasks failed on Ray; see {folder / stage.name / 'logs'}")
    finally:
        ray.shutdown()
    return True


def _submit_to_slurm(stages: list[Stage], folder: Path, settings: ExecutorSettings) -> bool:
    executor = None
    for stage in stages:
        options = {"venv_path": f"{sys.prefix}/bin/activate", "mail_type": "NONE", **settings.options}
        executor = SlurmPipelineExecutor(
            stage.pipeline,
            tasks=stage.tasks,
            workers=settings.workers or -1,
            job_name=options.pop("job_name", "nec13b") + f"-{stage.name}",
            logging_dir=str(folder / stage.name),
            depends=executor,
            **options,
        )
    executor.run()
    return False


class _Progress:
    """A bar of the tasks of a stage that have ended, where somebody looks on; one line where nobody does."""

    def __init__(self, executor: PipelineExecutor, stage: Stage):
        self.executor, self.stage = executor, stage
        self.over = threading.Event()

    def _done(self) -> int:
        return self.stage.tasks - len(self.executor.get_incomplete_ranks())

    def _watch(self) -> None:
        with tqdm(total=self.stage.tasks, desc=f"{self.stage.name:<18}", unit="task", leave=True) as bar:
            while not self.over.wait(SECONDS_BETWEEN_LOOKS):
                bar.update(self._done() - bar.n)
            bar.update(self._done() - bar.n)

    def __enter__(self) -> None:
        self.thread = None
        if sys.stderr.isatty():
            self.thread = threading.Thread(target=self._watch, daemon=True)
            self.thread.start()
        else:
            done = self._done()
            said = "done" if done == self.stage.tasks else f"{self.stage.tasks - done} of {self.stage.tasks} tasks"
            print(f"{self.stage.name}: {said}", flush=True)

    def __exit__(self, *error) -> None:
        self.over.set()
        if self.thread:
            self.thread.join()
