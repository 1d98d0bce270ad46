import subprocess
import sys

import pytest

import neighborhoods


def test_importing_the_package_does_not_import_torch():
    code = "import sys, neighborhoods; print('torch' in sys.modules, 'numpy' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False False\n"


def test_every_name_is_there():
    for name in neighborhoods.__all__:
        assert getattr(neighborhoods, name) is not None
    assert set(dir(neighborhoods)) == set(neighborhoods.__all__)
    with pytest.raises(AttributeError, match="no attribute 'persistance'"):
        neighborhoods.persistance  # noqa: B018
