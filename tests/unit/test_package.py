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
    assert set(dir(neighborhoods)) == {*neighborhoods.__all__, *neighborhoods._MODULES}
    assert not set(neighborhoods.__all__) & set(neighborhoods._MODULES)
    with pytest.raises(AttributeError, match="no attribute 'persistance'"):
        neighborhoods.persistance  # noqa: B018


@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("stability", "persistence"),
        ("igsm", "attacks"),
        ("bell_cnn", "networks"),
        ("train", "training"),
        ("summarize", "statistics"),
    ],
)
def test_a_name_is_the_one_of_its_module(name, home):
    assert getattr(neighborhoods, name) is getattr(import_module(f"neighborhoods.{home}"), name)


def test_modules_stay_modules_whatever_was_imported_first():
    # A module and the function of its name must not take each other's place.
    for first in ("neighborhoods.persistence", "neighborhoods.networks"):
        code = f"import {first}; from neighborhoods import persistence as m; import neighborhoods as n; print(callable(m), n.persistence is m)"
        assert in_a_fresh_interpreter(code) == "False True\n"


def test_every_module_is_listed_in_order():
    modules = {path.stem for path in (ROOT / "neighborhoods").glob("*.py")} - {"__init__"}
    assert list(neighborhoods._MODULES) == sorted(modules)
