"""A real Slurm of one node on the loopback device, for as long as a test needs it."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "sinfo", "setpriv")

CONF = """\
ClusterName=rsa-exp-test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
InactiveLimit=0
KillWait=5
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class NoSlurmError(Exception):
    """Says why there can be no Slurm here."""


@contextmanager
def one_node() -> Iterator[dict[str, str]]:
    """Start munged, slurmctld and slurmd, and stop them and their jobs afterwards.

    Yields
    ------
    dict of str to str
        Environment variables with which Slurm's commands find it.

    Raises
    ------
    NoSlurmError
        If a program is missing, the user is not root, or a daemon does not come up.
    """
    if missing := [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]:
        raise NoSlurmError(f"{', '.join(missing)} not found; apt-get install slurm-wlm munge")
    if os.geteuid() != 0:
        raise NoSlurmError("slurmd is started as root only")
    # Not under pytest's folder: a socket's path has at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    environment = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": _path()}
    try:
        with ExitStack() as daemons:
            _configure(folder)
            for command in _commands(folder):
                daemons.enter_context(_daemon(command, folder, os.environ | environment))
            _wait_until_idle(folder, os.environ | environment)
            daemons.callback(_cancel_jobs, os.environ | environment)
            yield environment
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _configure(folder: Path) -> None:
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    with socket.socket() as one, socket.socket() as two:
        for free in (one, two):
            free.bind(("127.0.0.1", 0))
        ports = one.getsockname()[1], two.getsockname()[1]
    text = CONF.format(
        folder=folder,
        host=socket.gethostname().split(".")[0],
        controller_port=ports[0],
        node_port=ports[1],
        cpus=os.cpu_count(),
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
    )
    (folder / "slurm.conf").write_text(text)


def _commands(folder: Path) -> list[list[str]]:
    """Command lines of the daemons, in the order they are started in."""
    munged = ["munged", "--foreground", "--force"]  # force: as root, in a folder of its own
    munged += [f"--{name}-file={folder}/munge.{name}" for name in ("key", "log", "pid", "seed")]
    munged += [f"--socket={folder}/munge.socket"]
    return [munged, ["slurmctld", "-D"], ["slurmd", "-D"]]


@contextmanager
def _daemon(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """Run a daemon that ends with the block, and with this process should that be killed."""
    with (folder / f"{command[0]}.txt").open("wb") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *command],
            env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_idle(folder: Path, environment: dict[str, str]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if _ask("sinfo", "--noheader", "--format=%T", environment=environment) == "idle":
            return
        time.sleep(0.2)
    logs = sorted(folder.glob("*.txt"))
    last = [line for log in logs for line in log.read_text(errors="replace").splitlines()[-3:]]
    raise NoSlurmError(f"the node did not come up within 30 s: {' | '.join(last)}")


def _cancel_jobs(environment: dict[str, str]) -> None:
    _ask("scancel", "--user=root", environment=environment)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and _ask("squeue", "--noheader", environment=environment):
        time.sleep(0.2)


def _ask(*command: str, environment: dict[str, str]) -> str:
    asked = subprocess.run(command, env=environment, text=True, capture_output=True, timeout=30)
    return asked.stdout.strip()
