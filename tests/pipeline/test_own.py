"""Somebody's own data, model and attacks through the whole workflow, with no code of the project changed."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from pipeline.store import reading
from tests.conftest import ROOT, Checkout

OWN = ("--configfile", "examples/own.yaml")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Checkout:
    checkout = Checkout(tmp_path_factory.mktemp("own") / "checkout")
    shutil.copytree(ROOT / "examples", checkout.folder / "examples", ignore=shutil.ignore_patterns("*.h5"))
    subprocess.run([sys.executable, "examples/make_data.py"], cwd=checkout.folder, check=True)
    run = checkout.snakemake("--cores", "2", *OWN)
    assert run.returncode == 0, run.stdout
    return checkout


def test_own_figures_are_drawn(project):
    for name in ("histogram", "line"):
        assert (project.folder / f"results/figures/mine/{name}.png").stat().st_size > 10_000
    with reading(project.folder / "results/models/mine/mine.h5") as file:
        assert file.attribute("test_accuracy") > 0.6
        assert file.read("weights/0.weight").shape == (4, 1, 3, 3)
    with reading(project.folder / "results/attacks/mine/mine/pgd.h5") as file:
        assert file.read("linf").max() <= 0.3 + 1e-6
        assert file.read("success").mean() > 0.5


def test_an_edited_factory_reruns_its_users_only(project, tmp_path):
    copy = Checkout.copy_of(project, tmp_path / "checkout")
    copy.edit("examples/own_model.py", "stride=2", "stride=2, bias=False")
    expected = Counter(train=1, attack=2, measure_natural=1, bracket_persistence=2, trace_interpolation=1)
    expected += Counter(draw_persistence_histogram=1, draw_persistence_along_line=1)
    assert copy.jobs(*OWN) == expected


def test_a_comment_in_the_factory_reruns_nothing_and_new_data_reruns_all(project, tmp_path):
    copy = Checkout.copy_of(project, tmp_path / "checkout")
    copy.edit("examples/own_model.py", "import torch\n", "import torch  # a comment\n")
    assert copy.jobs(*OWN) == Counter()
    data = copy.folder / "examples/mine.h5"
    os.utime(data)
    assert copy.jobs(*OWN) == Counter()
    data.write_bytes(data.read_bytes() + b"more")
    assert copy.jobs(*OWN)["import_hdf5"] == 1


def test_given_weights_are_used_instead_of_training(project, tmp_path):
    trained = "results/models/mine/mine.h5"
    copy = Checkout.copy_of(project, tmp_path / "checkout")
    shutil.copy(copy.folder / trained, copy.folder / "weights.h5")
    overlay = copy.overlay(
        "models: {again: {factory: 'examples.own_model:small_cnn', weights: weights.h5}}\n"
        "experiments: [{dataset: mine, model: again, attack: pgd, measure: [persistence]}]\nartefacts: []\n"
    )
    run = copy.snakemake("--cores", "2", *OWN, overlay, "--", "results/models/mine/again.h5")
    assert run.returncode == 0, run.stdout
    with reading(copy.folder / trained) as first, reading(copy.folder / "results/models/mine/again.h5") as second:
        assert second.attribute("test_accuracy") == first.attribute("test_accuracy")
        assert second.read("weights/0.weight").tobytes() == first.read("weights/0.weight").tobytes()


@pytest.mark.parametrize(
    ("overlay", "sentence"),
    [
        ("models: {mine: {factory: 'examples.own_model:missing'}}", "has no function missing"),
        ("attacks: {pgd: {method: torchattacks.Nothing}}", "has no attack 'torchattacks.Nothing'"),
        ("datasets: {mine: {file: examples/bad.h5}}", "dataset 'x_test' is missing"),
        # Results of the file that was there before are not this one's.
        ("datasets: {mine: {file: examples/none.h5}}", "datasets.mine.file: there is no file examples/none.h5"),
    ],
)
def test_what_does_not_fit_is_one_sentence(project, tmp_path, overlay, sentence):
    import h5py

    copy = Checkout.copy_of(project, tmp_path / "checkout")
    with h5py.File(copy.folder / "examples/bad.h5", "w") as bad, h5py.File(copy.folder / "examples/mine.h5") as good:
        for name in ("x_train", "y_train", "y_test"):
            bad[name] = good[name][()]
    before = sorted(Path(copy.folder / "results").rglob("*.h5"))
    run = copy.snakemake("--cores", "2", *OWN, copy.overlay(overlay))
    assert run.returncode == 1
    assert sentence in run.stdout
    assert "Traceback" not in run.stdout
    assert set(Path(copy.folder / "results").rglob("*.h5")) <= set(before)
    assert not list(Path(copy.folder / "results").rglob("*.tmp"))
