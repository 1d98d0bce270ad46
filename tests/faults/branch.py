"""The branch of the workflow that faults are tried on: how it is started, watched, ended and compared."""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import psutil

ROOT = Path(__file__).resolve().parents[2]
OVERLAY = Path(__file__).with_name("faults.yaml")
INJECTED = Path(__file__).with_name("injected")

FIGURE = "results/figures/faults/histogram.png"
TABLE = "results/tables/faults/table.csv"
OUTPUTS = "results/logits/faults/outputs/standard.h5"
TEACHER = "results/logits/faults/teachers/standard-s0.h5"
PERSISTENCE = "results/persistence/mnist5k/fc10-4/lbfgs.h5"
NATURAL = "results/natural/mnist5k/fc10-4/4.h5"
ATTACK = "results/attacks/mnist5k/fc10-4/lbfgs.h5"
MODEL = "results/models/mnist5k/fc10-4.h5"
DATA = "results/data/mnist5k.h5"
# As in `rule all` results are asked for by themselves, too, whether another one needs them or not.
TARGETS = (DATA, MODEL, NATURAL, ATTACK, PERSISTENCE, FIGURE, TABLE, TEACHER, OUTPUTS)
FILES = 11  # The figure has three: PNG, PDF and its numbers.
LIMIT_S = 300.0

Found = TypeVar("Found")


class Branch:
    """A folder of its own in which the branch is run, as `make run` does it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "run.log"
        self.seconds = 0.0
        folder.mkdir(parents=True, exist_ok=True)

    def start(
        self,
        *targets: str,
        cores: int = 2,
        options: tuple[str, ...] = (),
        overlay: str = "",
        prefix: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        piped: bool = False,
        **fault: str,
    ) -> subprocess.Popen[bytes]:
        """Start the launcher; what it prints is added to the log.

        Args:
            targets: files to make; all of the branch if none is named.
            options: of Snakemake.
            overlay: configuration beside the branch's own, as YAML.
            prefix: a command that runs the launcher.
            environment: variables beside the present ones.
            piped: what is printed goes to the process's `stdout` instead.
            fault: what jobs do to themselves, as tests/faults/injected says.
        """
        files = [str(OVERLAY)]
        if overlay:
            (self.folder / "overlay.yaml").write_text(overlay, encoding="utf-8")
            files.append(str(self.folder / "overlay.yaml"))
        command = [*prefix, sys.executable, "-m", "pipeline.running.launch"]
        command += ["--workflow-profile", str(ROOT / "profiles/default"), "--cores", str(cores)]
        command += [*options, "--directory", str(self.folder), "--configfile", *files, "--", *(targets or TARGETS)]
        variables = {key: value for key, value in os.environ.items() if not key.startswith("COV_CORE")}
        variables |= {"PYTHONPATH": str(INJECTED)} if fault else {}
        variables |= {f"FAULT_{key.upper()}": value for key, value in fault.items()}
        with open(self.log, "a") as log:
            return subprocess.Popen(
                command,
                cwd=ROOT,
                env=variables | dict(environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, *targets: str, **settings: object) -> tuple[int, str]:
        """Exit status of a whole run, and what it printed."""
        # A file would meet the limits that tests set on the size of files.
        process = self.start(*targets, piped=True, **settings)  # type: ignore[arg-type]
        try:
            printed = process.communicate(timeout=LIMIT_S)[0].decode(errors="replace")
        finally:
            end(process)
        with open(self.log, "a", encoding="utf-8") as log:
            log.write(printed)
        return process.returncode, printed

    def text(self) -> str:
        """All that was printed in the folder."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def hashes(self) -> dict[str, str]:
        """Digest of every result by its path."""
        kinds = (".h5", ".png", ".pdf", ".csv")
        files = (path for path in (self.folder / "results").rglob("*") if path.suffix in kinds and path.is_file())
        return {str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def leftovers(self) -> list[str]:
        """Hidden files beside results, locks and marks of unfinished outputs: nothing, after a run that ended well."""
        places = [(self.folder / "results", ".*"), (self.folder / "results", "*.tmp")]
        places += [(self.folder / ".snakemake" / name, "*") for name in ("locks", "incomplete")]
        return sorted({str(path) for place, form in places for path in place.rglob(form) if path.is_file()})

    def scripts(self) -> list[psutil.Process]:
        """Job scripts that run in the folder."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if any(Path(word).parent == self.folder / ".snakemake/scripts" for word in words):
                found.append(process)
        return found


def engine_of(launcher: subprocess.Popen[bytes]) -> psutil.Process | None:
    """The Snakemake that a launcher started."""
    try:
        children = psutil.Process(launcher.pid).children()
    except psutil.NoSuchProcess:
        return None
    return children[0] if children else None


def end(launcher: subprocess.Popen[bytes]) -> None:
    """Kill a launcher and all that it started, if it still runs."""
    with_children = []
    with contextlib.suppress(psutil.NoSuchProcess):
        with_children = psutil.Process(launcher.pid).children(recursive=True)
    for process in with_children:
        kill(process.pid, signal.SIGKILL)
    if launcher.poll() is None:
        launcher.kill()
    launcher.wait()


def kill(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def wait_for(condition: Callable[[], Found], timeout_s: float = 60) -> Found:
    """What a condition finds once it finds something."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing within {timeout_s:g} s")
        time.sleep(0.05)
    return found
