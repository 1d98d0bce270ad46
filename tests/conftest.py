"""What several test files share: a copy of the checkout to change, a way to run Snakemake on it, and a small network."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# No test is timed: a busy machine must not fail one. The same examples in every run of CI, new ones elsewhere.
settings.register_profile("project", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("project")

# torch has not been imported yet. Two threads that wait for each other on a busy machine take fifty times as long as one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent
CODE = ("Snakefile", "config.yaml", "config", "schemas", "rules", "scripts", "neighborhoods", "pipeline", "envs",
        "profiles", "report", "styles", "published")  # fmt: skip


@cache
def snakemake_forks() -> subprocess.Popen[str]:
    """A process that has imported Snakemake and forks for each run; it ends with the tests, which hold its input."""
    server = [sys.executable, str(ROOT / "tests" / "fork_snakemake.py")]
    return subprocess.Popen(server, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Side by side run the files of unit tests, each on one process, and all workflows, which share the smoke run."""
    from xdist.scheduler import LoadScopeScheduling

    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid.split("::")[0] if nodeid.startswith("tests/unit/") else "workflows"

    return Files(config, log)


class Checkout:
    """A copy of the project whose files a test may change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        for name in CODE:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
            copy(ROOT / name, folder / name)

    @classmethod
    def copy_of(cls, other: "Checkout", folder: Path) -> "Checkout":
        """A copy with results, bookkeeping and file times."""
        copy = cls.__new__(cls)
        copy.folder = folder
        shutil.copytree(other.folder, folder, symlinks=True)
        return copy

    def snakemake(self, *arguments: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        """Run snakemake here, with stdout and stderr as one text."""
        command = [sys.executable, "-m", "snakemake", *arguments]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("COV_CORE")}
        return subprocess.run(
            command, cwd=self.folder, env=environment, timeout=timeout, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def forked_snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Like `snakemake`, without its start: for runs of a second or two."""
        output = self.folder.parent / "snakemake.out"
        forks = snakemake_forks()
        assert forks.stdin
        assert forks.stdout
        print(json.dumps([str(self.folder), arguments, str(output)]), file=forks.stdin, flush=True)
        code = int(forks.stdout.readline())
        return subprocess.CompletedProcess(arguments, code, output.read_text(encoding="utf-8"))

    def jobs(self, *arguments: str) -> Counter[str]:
        """Rules of a dry run with the number of jobs of each; empty when there is nothing to do."""
        run = self.forked_snakemake("--dry-run", *arguments)
        assert run.returncode == 0, run.stdout
        return job_counts(run.stdout)

    def overlay(self, text: str) -> str:
        """Write an overlay and return its path."""
        path = self.folder / "overlay.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that occurs in a file."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{name} does not hold {old!r}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")


def job_counts(output: str) -> Counter[str]:
    """The job table that Snakemake prints, without `all` and `total`."""
    if "Nothing to be done" in output:
        return Counter()
    table = re.search(r"^job +count\n-[- ]+\n(.*?)\n\n", output + "\n\n", re.M | re.S)
    assert table, output
    rows = (line.split() for line in table[1].splitlines() if line.strip())
    return Counter({row[0]: int(row[1]) for row in rows if row[0] not in ("all", "total")})


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which the smoke configuration has run. Tests must leave its results as they are."""
    checkout = Checkout(tmp_path_factory.mktemp("smoke") / "checkout")
    run = checkout.snakemake("--cores", "2", "--verbose", "--configfile", "config/smoke.yaml")
    assert run.returncode == 0, run.stdout
    (checkout.folder / "smoke.log").write_text(run.stdout)
    return checkout


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Networks that a test builds have equal weights in every order of tests."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def readable_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every figure that a script draws in a test can be read at the size of print, and states n and intervals."""
    scripts = [module for name, module in sys.modules.items() if name.startswith("scripts.figures.")]
    if not scripts:
        return
    from pipeline.figures import style
    from tests.figure_checks import problems

    save = style.save

    def checked(picture: Any, outputs: Any) -> None:
        save(picture, outputs)
        # What is not drawn has no places yet.
        found = problems(picture) if any(not str(output).endswith(".csv") for output in outputs) else []
        assert not found, "\n".join(found)

    for module in (style, *scripts):
        if getattr(module, "save", None) is save:
            monkeypatch.setattr(module, "save", checked)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Several threads gain nothing on small tensors, and wait in busy loops when other processes need the cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def blobs() -> Callable[..., Any]:
    """Makes small problems: a trained network and up to 100 images that it gets right, of four classes in the cube."""
    import torch

    from neighborhoods.networks.architectures import fully_connected
    from neighborhoods.training.minibatch import predict, train

    def make(side: int, hidden: tuple[int, ...], *, centers: int = 4, spread: float = 0.15) -> Any:
        generator = torch.Generator().manual_seed(0)
        blob = torch.arange(400) % centers
        places = torch.rand(centers, 1, side, side, generator=generator)
        x = (places[blob] + spread * torch.randn(400, 1, side, side, generator=generator)).clamp(0, 1)
        y = blob % 4
        torch.manual_seed(0)
        model = fully_connected((1, side, side), hidden, 4)
        train(model, x, y, x, y, epochs=20, learning_rate=0.01)
        right = predict(model, x) == y
        return model, x[right][:100], y[right][:100]

    return make
