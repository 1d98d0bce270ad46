"""A real SLURM on one machine, for tests: two nodes of two stand-in GPUs each, in a folder of its own.

    python tests/slurm/cluster.py install         Debian's packages, by apt; needs root
    python tests/slurm/cluster.py start FOLDER    prints the environment that reaches it
    python tests/slurm/cluster.py stop FOLDER     ends the processes that `start` began, and no others

All daemons listen on 127.0.0.1 with a key of their own; nothing below /etc or /run is read or written. A node's GPUs are
files like /dev/null: SLURM hands them out and sets CUDA_VISIBLE_DEVICES, but there is nothing to compute with. Memory is
watched by polling, once a second, since cgroups cannot be had everywhere.
"""

import getpass
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

PACKAGES = ("slurm-wlm", "munge")
DAEMONS = ("munged", "slurmctld", "slurmd")
NODES = ("one", "two")
GPUS_OF_A_NODE = 2
START_S = 30.0
ADMIN_PATH = os.pathsep.join(["/usr/sbin", "/sbin"])

CONFIGURATION = """\
ClusterName=neighborhoods
SlurmctldHost={host}(127.0.0.1)
SlurmctldAddr=127.0.0.1
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
SlurmctldDebug=info
SlurmdDebug=info
# The machine is described as it should be, not as it is.
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
# Memory is polled, and what takes more than it asked for is ended.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill,UsePss
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0,defer_batch
ReturnToService=2
MinJobAge=300
MaxArraySize=1001
KillWait=2
SlurmctldTimeout=30
SlurmdTimeout=10
MessageTimeout=30
{nodes}
PartitionName=cpu Nodes=ALL Default=YES MaxTime=1-0 OverTimeLimit=0 State=UP
PartitionName=gpu Nodes=ALL MaxTime=1-0 OverTimeLimit=0 State=UP
"""


def missing() -> list[str]:
    """Programs of SLURM and munge that this machine does not have."""
    return [name for name in (*DAEMONS, "sbatch", "squeue", "scontrol") if program(name) is None]


def program(name: str) -> str | None:
    """Where a program lies, among those of administrators too."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), ADMIN_PATH]))


def install() -> None:
    """Install the packages with apt, whose own services are kept from starting."""
    if os.geteuid() != 0:
        raise SystemExit("installing SLURM needs root")
    apt = shutil.which("apt-get")
    if apt is None:
        raise SystemExit("installing SLURM needs apt-get, which this machine does not have")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    options = ["--yes", "--quiet", "--no-install-recommends"]
    subprocess.run([apt, "update", "--quiet"], check=True, env=environment)
    subprocess.run([apt, "install", *options, *PACKAGES], check=True, env=environment)


class Cluster:
    """SLURM's daemons in a folder.

    Attributes:
        folder: holds the configuration, the key, logs and the process ids of the daemons.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which SLURM's commands find this cluster.

        Snakemake's executor takes most variables of SLURM from the `srun` that it starts inside a job, so that a
        script of this name comes first and puts the configuration back.
        """
        path = os.environ.get("PATH", os.defpath)
        return {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": f"{self.folder / 'bin'}{os.pathsep}{path}"}

    def start(self, cpus: int | None = None, memory_mb: int | None = None) -> None:
        """Start the daemons and wait until both nodes are idle.

        Args:
            cpus: cores that a node has by its description; by default those of the machine.
            memory_mb: memory of a node by its description; by default half of the machine's.

        Raises:
            RuntimeError: a program is missing, or the nodes are not idle in time; says what the logs end with.
        """
        if absent := missing():
            raise RuntimeError(f"SLURM is not installed (no {', '.join(absent)})")
        for name in ("bin", "state", "gpus", *(f"spool.{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        # munged insists on a way to its socket that others may go.
        self.folder.chmod(0o755)
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
        self._configure(cpus or os.cpu_count() or 1, memory_mb or pages // 2)
        self._start_munge()
        self._daemon("slurmctld", "-D", "-f", self.environment["SLURM_CONF"])
        for node in NODES:
            self.start_node(node)
        self._wait_until_idle()

    def start_node(self, node: str) -> None:
        """Start the daemon of a node."""
        self._daemon("slurmd", "-D", "-N", node, "-f", self.environment["SLURM_CONF"], name=f"slurmd.{node}")

    def end_node(self, node: str) -> None:
        """Kill the daemon of a node, as a crash would; its jobs' processes go on."""
        self._end(self._started().pop(f"slurmd.{node}"), signal.SIGKILL)

    def command(self, *words: str, check: bool = True) -> str:
        """Run one of SLURM's commands and return what it prints."""
        run = subprocess.run(
            [program(words[0]) or words[0], *words[1:]], env=os.environ | self.environment, check=check,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return run.stdout.strip()

    def stop(self) -> None:
        """End all jobs, then the daemons that were started in this folder."""
        started = self._started()
        if "slurmctld" in started:
            self.command("scancel", "--user", getpass.getuser(), check=False)
            deadline = time.monotonic() + 10
            while self.command("squeue", "--noheader", check=False) and time.monotonic() < deadline:
                time.sleep(0.2)
        for name in sorted(started, key=lambda name: ("slurmd" in name, name == "slurmctld"), reverse=True):
            self._end(started[name], signal.SIGTERM)
        (self.folder / "started.json").unlink(missing_ok=True)

    def _configure(self, cpus: int, memory_mb: int) -> None:
        ports = free_ports(1 + len(NODES))
        nodes = [
            f"NodeName={node} NodeHostname={node} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} RealMemory={memory_mb} "
            f"Gres=gpu:{GPUS_OF_A_NODE} State=UNKNOWN"
            for node, port in zip(NODES, ports[1:], strict=True)
        ]
        text = CONFIGURATION.format(
            folder=self.folder, user=getpass.getuser(), host=socket.gethostname().split(".")[0],
            controller_port=ports[0], nodes="\n".join(nodes),
        )  # fmt: skip
        (self.folder / "slurm.conf").write_text(text)
        gpus = self._stand_ins()
        lines = [f"NodeName={node} Name=gpu File={gpu}" for node in NODES for gpu in gpus]
        (self.folder / "gres.conf").write_text("\n".join(lines) + "\n")
        srun = self.folder / "bin" / "srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {program("srun")} "$@"\n')
        srun.chmod(0o755)
        # Where cgroups are, SLURM would look for them even if nothing uses them.
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")

    def _stand_ins(self) -> list[Path]:
        """Device files, which SLURM insists on, whose names end in the number of a GPU."""
        if os.geteuid() != 0:
            return [Path(f"/dev/tty{i}") for i in range(GPUS_OF_A_NODE)]
        gpus = [self.folder / "gpus" / f"gpu{i}" for i in range(GPUS_OF_A_NODE)]
        null = os.stat(os.devnull)
        for gpu in gpus:
            gpu.unlink(missing_ok=True)
            os.mknod(gpu, null.st_mode, null.st_rdev)
        return gpus

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.unlink(missing_ok=True)
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        places = {
            "socket": "munge.socket",
            "pid-file": "munged.pid",
            "log-file": "munged.log",
            "seed-file": "munge.seed",
        }
        options = [f"--{option}={self.folder / name}" for option, name in places.items()]
        self._daemon("munged", "--foreground", "--force", f"--key-file={key}", *options)
        wait_for((self.folder / "munge.socket").exists, "munge's socket")

    def _daemon(self, executable: str, *arguments: str, name: str | None = None) -> None:
        path = program(executable)
        assert path, executable
        name = name or executable
        with open(self.folder / f"{name}.out", "ab") as out:
            process = subprocess.Popen(
                [path, *arguments], env=os.environ | self.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True, cwd=self.folder,
            )  # fmt: skip
        started = self._started() | {name: [process.pid, start_time(process.pid)]}
        (self.folder / "started.json").write_text(json.dumps(started))

    def _started(self) -> dict[str, list[int]]:
        path = self.folder / "started.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def _end(self, process: list[int], number: int) -> None:
        pid, began = process
        # A process id may have been given to another process since.
        if start_time(pid) != began:
            return
        os.kill(pid, number)
        deadline = time.monotonic() + 10
        while start_time(pid) == began and time.monotonic() < deadline:
            time.sleep(0.05)
        if start_time(pid) == began:
            os.kill(pid, signal.SIGKILL)

    def _wait_until_idle(self) -> None:
        def idle() -> bool:
            states = self.command("sinfo", "--Node", "--noheader", "--partition=cpu", "--format=%T", check=False)
            return states.split() == ["idle"] * len(NODES)

        try:
            wait_for(idle, "idle nodes")
        except RuntimeError as error:
            logs = [path for path in sorted(self.folder.glob("*.log")) if path.stat().st_size]
            ends = [f"{path.name}: {path.read_text(errors='replace').splitlines()[-1]}" for path in logs]
            self.stop()
            raise RuntimeError(f"{error}; " + "; ".join(ends)) from error


def start_time(pid: int) -> int:
    """When a process started, in clock ticks since boot; -1 for one that is gone or waits for its parent."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return -1
    return -1 if fields[0] in "ZX" else int(fields[19])


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nothing listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


def wait_for(true: object, what: str, timeout_s: float = START_S) -> None:
    """Wait until a function of no arguments is true; RuntimeError if it never is."""
    assert callable(true)
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not come within {timeout_s:g} s")
        time.sleep(0.2)


def main(words: list[str]) -> int:
    """Do what the command line says."""
    match words:
        case ["install"]:
            install()
        case ["start", folder]:
            cluster = Cluster(Path(folder))
            cluster.start()
            print_environment(cluster.environment)
        case ["stop", folder]:
            Cluster(Path(folder)).stop()
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


def print_environment(variables: Mapping[str, str]) -> None:
    """Print variables as a shell takes them."""
    for name, value in variables.items():
        print(f"export {name}={value}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
