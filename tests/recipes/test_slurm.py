"""The Slurm script down to accelerate's command line, and really run on two servers that are network namespaces."""

import json
import os
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from run_losses import losses, wait_for_step

SCRIPT = "accelerate_configs/slurm/pretrain.sbatch"
SECONDS = 240  # in which a run of a few steps has to end


@pytest.fixture
def slurm(root, tmp_path):
    """The environment of a job on two servers: stand-ins for Slurm's commands and, at first, for accelerate."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("srun", "scontrol", "scancel"):
        stand_in = f'exec {sys.executable} {root}/tests/recipes/slurm_stand_in.py {name} "$@"'
        _executable(commands / name, f"#!/bin/sh\n{stand_in}\n")
    _executable(
        commands / "accelerate",
        f"#!{sys.executable}\nimport json, os, sys\n"
        "keys = ('SLURM_NODEID', 'TORCH_ELASTIC_SHUTDOWN_TIMEOUT', 'NCCL_DEBUG')\n"
        "line = json.dumps([sys.argv[1:], {key: os.environ[key] for key in keys}])\n"
        "os.write(1, f'CALL {line}\\n'.encode())  # in one piece: two servers write at once\n"
        "sys.exit(int(os.environ.get('ENDS_WITH', '0')))\n",
    )
    return {
        **os.environ,
        "PATH": f"{commands}:{os.environ['PATH']}",
        "SLURM_STAND_IN_FOLDER": str(tmp_path),
        "SLURM_JOB_ID": "123457",
        "SLURM_JOB_NODELIST": "node07,node08",
        "SLURM_NNODES": "2",
    }


def _executable(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def submit(root, environment, *arguments) -> subprocess.CompletedProcess:
    command = ["bash", SCRIPT, *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=60)


def calls(output: str) -> list[tuple[list[str], dict[str, str]]]:
    found = [json.loads(line) for line in re.findall("CALL (.*)", output)]
    return sorted(found, key=lambda call: call[1]["SLURM_NODEID"])


@pytest.mark.parametrize(
    ("layout", "more"),
    [
        ("fsdp_64x8", []),
        ("hsdp_64x8", ["--parallelism_config_dp_replicate_size", "2"]),
        ("hsdp_tp_64x8", ["--parallelism_config_dp_replicate_size", "2"]),
        ("zero3_64x8", []),
    ],
)
def test_every_server_gets_its_command_line(root, slurm, layout, more):
    flags = ["recipes/pretrain.py", "--output_dir", "a folder with spaces"]
    done = submit(root, slurm | {"LAYOUT": layout}, *flags)
    assert done.returncode == 0, done.stderr
    found = calls(done.stdout)
    assert len(found) == 2
    for rank, (arguments, environment) in enumerate(found):
        port = arguments[arguments.index("--main_process_port") + 1]
        assert 20000 <= int(port) < 60000
        assert arguments == [
            "launch", "--machine_rank", str(rank), "--main_process_ip", "node07", "--main_process_port", port,
            "--config_file", f"accelerate_configs/{layout}.yaml", "--num_machines", "2", "--num_processes", "16",
            *more, *flags,
        ]  # fmt: skip
        assert environment["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] == "540"


def test_after_an_accident_it_is_launched_again_on_another_port(root, slurm):
    done = submit(root, slurm | {"ENDS_WITH": "1", "MISTAKE_SECONDS": "0", "MAX_RESTARTS": "2"}, "recipes/pretrain.py")
    assert done.returncode == 1
    ports = [arguments[arguments.index("--main_process_port") + 1] for arguments, _ in calls(done.stdout)]
    assert len(ports) == 6
    assert len(set(ports)) == 3
    assert "attempt 2 ended with status 1" in done.stdout


def test_mistakes_are_not_tried_again(root, slurm):
    done = submit(root, slurm | {"ENDS_WITH": "2"}, "recipes/pretrain.py")
    assert done.returncode == 2
    assert len(calls(done.stdout)) == 2
    assert "too soon to be an accident" in done.stdout
    done = submit(root, slurm | {"LAYOUT": "ddp"}, "recipes/pretrain.py")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: there is no accelerate_configs/ddp.yaml (LAYOUT=ddp)\n"
    assert submit(root, slurm).returncode == 2


@pytest.fixture
def two_servers(root, slurm):
    """Two network namespaces joined by a cable, and the environment of a job on them; they are removed in any case."""
    name = f"nec{uuid.uuid4().hex[:8]}"
    namespaces, cables = [f"{name}a", f"{name}b"], [f"{name}0", f"{name}1"]
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    network = 10 + int(name[3:7], 16) % 200
    addresses = [f"10.213.{network}.{host}" for host in (1, 2)]
    try:
        try:
            for namespace in namespaces:
                _ip("netns", "add", namespace)
            _ip("link", "add", cables[0], "type", "veth", "peer", "name", cables[1])
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no network namespaces here: {error}")
        for namespace, cable, address in zip(namespaces, cables, addresses):
            _ip("link", "set", cable, "netns", namespace)
            _ip("-n", namespace, "address", "add", f"{address}/24", "dev", cable)
            _ip("-n", namespace, "link", "set", cable, "up")
            _ip("-n", namespace, "link", "set", "lo", "up")
            # gloo looks for the interface by the same name on both servers
            _ip("-n", namespace, "link", "set", cable, "down")
            _ip("-n", namespace, "link", "set", cable, "name", "ib0")
            _ip("-n", namespace, "link", "set", "ib0", "up")
        launcher = f'exec {sys.executable} {root}/tests/recipes/accelerate_on_cpu.py "$@"'
        _executable(Path(slurm["SLURM_STAND_IN_FOLDER"]) / "bin" / "accelerate", f"#!/bin/sh\n{launcher}\n")
        yield slurm | {
            "SLURM_STAND_IN_NAMESPACES": " ".join(namespaces),
            "SLURM_JOB_NODELIST": ",".join(addresses),
            "SLURM_GPUS_ON_NODE": "1",
            "MISTAKE_SECONDS": "0",
            "GLOO_SOCKET_IFNAME": "ib0",
            "OMP_NUM_THREADS": "1",
        }
    finally:
        for namespace in namespaces:
            for pid in _processes(namespace):
                os.kill(pid, signal.SIGKILL)
            subprocess.run(["ip", "netns", "delete", namespace], check=False, capture_output=True)
        subprocess.run(["ip", "link", "delete", cables[0]], check=False, capture_output=True)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _processes(namespace: str) -> list[int]:
    found = subprocess.run(["ip", "netns", "pids", namespace], check=False, capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]


@pytest.mark.slow
def test_two_servers_follow_one_process_through_a_stop_and_the_loss_of_a_server(
    root, two_servers, small_run, one_process, tmp_path
):
    """One run in three parts: a time limit stops it, the next job loses a server and launches both again."""
    output = tmp_path / "run"
    command = ["bash", SCRIPT, "recipes/pretrain.py", *small_run, "--save_steps", "1000", "--output_dir", str(output)]

    def start(log):
        return subprocess.Popen(command, cwd=root, env=two_servers, stdout=log.open("w"), stderr=subprocess.STDOUT)

    log = tmp_path / "first.log"
    job = start(log)
    wait_for_step(output, job, 2, log)
    job.send_signal(signal.SIGTERM)
    assert job.wait(SECONDS) == 0, log.read_text()
    assert (tmp_path / "scontrol").read_text() == "requeue 123457\n"
    assert re.search("stopped at step [0-9]+ of 12; the same command goes on", log.read_text())
    (stopped_at,) = output.glob("checkpoint-*")

    log = tmp_path / "second.log"
    job = start(log)
    wait_for_step(output, job, int(stopped_at.name.rpartition("-")[2]) + 1, log)
    for pid in _processes(two_servers["SLURM_STAND_IN_NAMESPACES"].split()[1]):
        os.kill(pid, signal.SIGKILL)
    assert job.wait(SECONDS) == 0, log.read_text()
    said = log.read_text()
    assert "attempt 0 ended with status" in said
    assert re.search(r"Connection (closed|reset) by peer", said)  # what ended the other server's process
    assert not (tmp_path / "hung").exists()  # it ended by itself
    assert said.count(f"going on from {output}/checkpoint-") == 2

    assert json.loads((output / "run.json").read_text())["machine"]["processes"] == 2
    for (*one, first), (*two, second) in zip(one_process, losses(output), strict=True):
        assert one == two
        assert second == pytest.approx(first, abs=2e-5)
