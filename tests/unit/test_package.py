import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import neighborhoods

ROOT = Path(__file__).resolve().parents[2]


def in_a_fresh_interpreter(code: str) -> str:
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_importing_the_package_does_not_import_torch():
    code = "import sys, neighborhoods; print('torch' in sys.modules, 'numpy' in sys.modules)"
    assert in_a_fresh_interpreter(code) == "False False\n"


def test_a_name_is_imported_when_it_is_first_used():
    code = "import sys, neighborhoods as n; n.clopper_pearson; print('torch' in sys.modules); n.train; print('torch' in sys.modules)"
    assert in_a_fresh_interpreter(code) == "False\nTrue\n"


def test_every_name_is_there():
    for name in dir(neighborhoods):
        assert getattr(neighborhoods, name) is not None
    with pytest.raises(AttributeError, match="persistance"):
        neighborhoods.persistance  # noqa: B018


@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("stability", "persistence.measure"),
        ("igsm", "attacks.methods"),
        ("bell_cnn", "networks.architectures"),
        ("train", "training.minibatch"),
        ("summarize", "statistics.intervals"),
    ],
)
def test_a_name_is_the_one_of_its_module(name, home):
    assert getattr(neighborhoods, name) is getattr(import_module(f"neighborhoods.{home}"), name)


def test_packages_stay_packages_and_functions_functions_whatever_was_imported_first():
    # A package of the library and the function of its name must not take each other's place.
    for first in ("neighborhoods.persistence.measure", "neighborhoods.networks.architectures"):
        code = f"import {first}, neighborhoods as n; from neighborhoods.persistence import persistence as f; from neighborhoods import persistence as p; print(callable(f), callable(p), n.persistence is p)"
        assert in_a_fresh_interpreter(code) == "True False True\n"


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in (ROOT / "neighborhoods").rglob("__init__.py")), ids=lambda path: path.name
)
def test_a_package_names_all_of_its_modules(folder):
    # What type checkers read is what is imported at run time: a stub for both.
    names = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    package = import_module(".".join(folder.relative_to(ROOT).parts))
    assert names - {"__init__"} <= set(package.__all__)
    for name in package.__all__:
        found = getattr(package, name)
        assert inspect.ismodule(found) or found.__module__.startswith(package.__name__)
    assert sorted(dir(package)) == sorted(package.__all__)
