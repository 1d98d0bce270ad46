"""Examples for library users run from any folder and come to what they are there to show."""

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "library"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    def found(name):
        monkeypatch.chdir(tmp_path)
        space = runpy.run_path(str(EXAMPLES / name))
        assert capsys.readouterr().out
        assert not list(tmp_path.iterdir())
        return space

    return found


def test_every_example_is_tested():
    assert {path.name for path in EXAMPLES.iterdir() if path.suffix} == {
        "path_kernel.py",
        "persistence_and_boundary.py",
        "tilting_and_manifolds.py",
    }


def test_adversarial_images_persist_less_for_their_distance(run):
    space = run("persistence_and_boundary.py")
    natural, adversarial = (space["distances"][name] for name in ("natural", "adversarial"))
    assert space["network"].training
    assert len(natural.distance) == len(space["rows"]) == 20
    assert len(adversarial.distance) == int(space["verdict"].success.sum()) > 15
    ratio = space["nb"].ratio(*(space["per_distance"][name] for name in ("adversarial", "natural")))
    assert ratio.value < 1


def test_a_recorded_loop_is_a_kernel_machine(run):
    space = run("path_kernel.py")
    assert float(space["error"]) < 1e-10
    worth, labels = space["worth"], space["y"]
    by_class = [float(worth[labels == label].sum()) for label in range(10)]
    assert by_class.index(max(by_class)) == space["classes"][0]


def test_less_regularisation_tilts_more(run):
    space = run("tilting_and_manifolds.py")
    assert space["strength"] == 1e-2
    weak = space["tilt"]
    assert weak.distance.value <= weak.untilted.value
    assert weak.angle.value < 20
    assert 0 < space["analysis"].geometry.capacity.value < 2
