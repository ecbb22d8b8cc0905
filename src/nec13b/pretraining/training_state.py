"""What a checkpoint holds beside its marker: weights, optimizer and generators, sharded, as safetensors.

torch's distributed checkpoint writes them: every process its own shards, off the training thread, in files that
`safetensors` opens; and it reads them back on any number of processes, however the weights are sharded there. Nothing
is pickled. Tensors are named `model.<parameter>`, `optimizer.<parameter>.<state>` and `random.<process>`.
"""

import errno
import json
import random
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

from ..errors import InputError, one_line
from .shards import as_sharded, in_blocks

warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)  # one process is no mistake
FILE_BYTES = 4_000_000_000  # a file is put together in memory, so it must not be much larger than that


class StateWriter:
    """Writes training states one after another, in the background where wanted.

    The training thread waits only while the tensors are copied to the host. Every process has to make the same calls.

    Args:
        in_background: go on training while the copy is written.
    """

    def __init__(self, in_background: bool):
        self.in_background = in_background
        # The background thread's collectives must not meet those of the training thread. The group is made now: when
        # the launcher is gone, no new one can be.
        self.alone = not dist.is_initialized()
        self.group = None if self.alone else dist.new_group(backend="gloo")
        self.pending: tuple[Future, Path, Callable[[], None]] | None = None

    def write(self, folder: Path, state: dict[str, torch.Tensor], when_whole: Callable[[], None]) -> None:
        """Begins to write `state` into `folder`; `when_whole` is called once every process has written its part.

        Raises:
            InputError: this state, or the one before it, could not be written.
        """
        self.wait()
        files = _files(state, FILE_BYTES)
        # torch takes the first process's word for all of them, and each has a generator of its own.
        files |= {f"random.{process}": 1 for process in range(1 if self.alone else dist.get_world_size())}
        writer = HuggingFaceStorageWriter(str(folder), save_distributed=True, fqn_to_index_mapping=files)
        arguments = {"storage_writer": writer, "process_group": self.group, "no_dist": self.alone}
        if self.in_background:
            self.pending = (dcp.async_save(state, **arguments), folder, when_whole)
            return
        done: Future = Future()
        try:
            done.set_result(dcp.save(state, **arguments))
        except (Exception, CheckpointException) as error:  # told below, as one that was met in the background
            done.set_exception(error)
        self.pending = (done, folder, when_whole)
        self.wait()

    def poll(self) -> None:
        """Finishes a state whose background part is done; costs nothing where it is not.

        Raises:
            InputError: it could not be written.
        """
        if self.pending and self.pending[0].done():
            self.wait()

    def wait(self) -> None:
        """Waits until the last state is on disk.

        Raises:
            InputError: it could not be written; the message says why.
        """
        if self.pending is None:
            return
        (future, folder, when_whole), self.pending = self.pending, None
        try:
            future.result()
        except (Exception, CheckpointException) as error:
            raise InputError(_why_not_written(folder, error)) from error
        when_whole()


def _files(state: dict[str, torch.Tensor], most_bytes: int) -> dict[str, int]:
    """Number of the file, from 1, for each tensor; counted in whole tensors, of which a process holds a part."""
    files, number, size = {}, 1, 0
    for name, tensor in state.items():
        if size and size + tensor.nbytes > most_bytes:
            number, size = number + 1, 0
        files[name] = number
        size += tensor.nbytes
    return files


def _why_not_written(folder: Path, error: BaseException) -> str:
    cause: BaseException = error
    failures = getattr(error, "failures", {})  # what torch's CheckpointException says, by process
    if failures:
        cause = next(iter(failures.values()))[0]
    full = getattr(cause, "errno", None) == errno.ENOSPC or "No space left" in str(error)
    advice = "free some space" if full else "mend that"
    return (
        f"{folder.parent} could not be written ({one_line(cause)}); the checkpoints before it are whole: "
        f"{advice} and run the same command again, it goes on from the last of them"
    )


def training_state(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> tuple[dict[str, torch.Tensor], dict]:
    """(tensors by name, the optimizer's plain numbers by parameter).

    The tensors are the training's own (DTensors where it is sharded).
    """
    weights, moments = get_state_dict(model, optimizer)
    numbers = {
        name: {key: value for key, value in state.items() if not isinstance(value, torch.Tensor)}
        for name, state in moments["state"].items()
    }
    tensors = in_blocks(_named_tensors(model, weights, moments))
    return tensors, {name: found for name, found in numbers.items() if found}


def _named_tensors(model: torch.nn.Module, weights: dict, moments: dict) -> dict[str, torch.Tensor]:
    tied = set(getattr(model, "_tied_weights_keys", None) or ()) if model.config.tie_word_embeddings else set()
    return {f"model.{name}": tensor for name, tensor in weights.items() if name not in tied} | {
        f"optimizer.{name}.{key}": value
        for name, state in moments["state"].items()
        for key, value in state.items()
        if isinstance(value, torch.Tensor)
    }


def random_state(process: int) -> dict[str, torch.Tensor]:
    """The random generators of this process as bytes, under a name of its own."""
    state = {
        "python": random.getstate(),
        "numpy": _jsonable(np.random.get_state(legacy=False)),
        "torch": torch.random.get_rng_state().numpy().tobytes().hex(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state().numpy().tobytes().hex()
    encoded = json.dumps(state).encode()
    return {f"random.{process}": torch.frombuffer(bytearray(encoded), dtype=torch.uint8).clone()}


def _jsonable(state: dict) -> dict:
    inner = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in state["state"].items()}
    return state | {"state": inner}


def _restore_random_state(encoded: torch.Tensor) -> None:
    state = json.loads(bytes(encoded.numpy()))
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    inner = state["numpy"]["state"]
    np.random.set_state(state["numpy"] | {"state": inner | {"key": np.array(inner["key"], dtype=np.uint32)}})
    torch.random.set_rng_state(_bytes_tensor(state["torch"]))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(_bytes_tensor(state["cuda"]))


def _bytes_tensor(encoded: str) -> torch.Tensor:
    return torch.frombuffer(bytearray.fromhex(encoded), dtype=torch.uint8).clone()


def read_training_state(
    folder: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, numbers: dict, process: int
) -> None:
    """Reads what a `StateWriter` wrote, into the model, the optimizer and the random generators.

    The number of processes and the sharding may be others than those that wrote it. A process that has no generator
    state there keeps its own; nothing in pre-training draws from it.

    Args:
        folder: the files.
        model, optimizer: prepared for training.
        numbers: the optimizer's plain numbers, from `training_state`.
        process: the index of this process.
    """
    reader = HuggingFaceStorageReader(str(folder))
    written = reader.read_metadata().state_dict_metadata
    weights, moments = get_state_dict(model, optimizer)
    own = _named_tensors(model, weights, moments)
    tensors = in_blocks(own)  # the training's own, or copies that are put back below
    mine = f"random.{process}"
    if mine in written:
        tensors[mine] = torch.empty(written[mine].size, dtype=torch.uint8)
    dcp.load(tensors, storage_reader=reader, no_dist=not dist.is_initialized())
    tensors |= {name: as_sharded(tensors[name], tensor) for name, tensor in own.items()}
    weights.update({name: tensors.get(f"model.{name}", tensor) for name, tensor in weights.items()})
    for name, state in moments["state"].items():
        state.update({key: tensors.get(f"optimizer.{name}.{key}", value) for key, value in state.items()})
        state.update(numbers.get(name, {}))
    set_state_dict(model, optimizer, model_state_dict=weights, optim_state_dict=moments)
    if mine in written:
        _restore_random_state(tensors[mine])
