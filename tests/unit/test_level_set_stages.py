import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from neighborhoods.boundary.lines import natural_lines, pairs_of_classes
from neighborhoods.boundary.projected_spectra import random_cosine
from neighborhoods.networks.architectures import fully_connected, weights_of
from pipeline.results.shared import IMAGE_DIMS, put_network, put_split
from pipeline.store import Provenance, reading, writing
from scripts.boundary.decompose import decompose
from scripts.boundary.measure_level_sets import measure_level_sets
from scripts.figures import boundary_classes, boundary_spectra
from tests.unit.level_set_cases import gaussian

SIDE = 4


def test_mean_cosines_of_random_directions():
    assert random_cosine(2) == pytest.approx(2 / math.pi)
    assert random_cosine(3) == pytest.approx(1 / 2)


def test_pairs_differ_and_use_no_image_twice():
    labels = torch.randint(10, (501,), generator=torch.Generator().manual_seed(0))
    pairs = pairs_of_classes(labels, 1000)
    assert bool((labels[pairs[:, 0]] != labels[pairs[:, 1]]).all())
    assert len(pairs.unique()) == pairs.numel()
    # All neighbours with different labels.
    assert len(pairs) == sum(int(labels[i] != labels[i + 1]) for i in range(0, 500, 2))
    assert pairs_of_classes(labels, 7).tolist() == pairs[:7].tolist()
    assert pairs_of_classes(torch.zeros(9), 4).shape == (0, 2)


def test_natural_lines_join_right_images_of_different_classes_that_are_not_attacked():
    model = torch.nn.Linear(2, 3).double()
    x = gaussian(240, 2)
    label = model(x).argmax(1)
    label[::3] = (label[::3] + 1) % 3
    order, attacked = torch.randperm(240, generator=torch.Generator().manual_seed(1)), torch.arange(0, 240, 5)
    found = natural_lines(model, x, label, order, attacked, 8)
    assert found.shape == (8, 2)
    assert len(found.unique()) == 16
    assert bool((label[found[:, 0]] != label[found[:, 1]]).all())
    assert bool((model(x[found]).argmax(2) == label[found]).all())
    assert not bool(torch.isin(found, attacked).any())
    assert bool((found[:3] == natural_lines(model, x, label, order, attacked, 3)).all())


@pytest.fixture
def files(tmp_path):
    """A small random network, its images and attacks across its boundary; `write` makes the attack's file."""
    torch.manual_seed(0)
    network = fully_connected((1, SIDE, SIDE), (12,), 3)
    images = np.random.default_rng(0).random((60, 1, SIDE, SIDE)).astype(np.float32)
    with torch.no_grad():
        network.fc2.bias -= network(torch.from_numpy(images)).mean(0)
        network.fc2.weight *= 5
        labels = network(torch.from_numpy(images)).argmax(1).numpy()
    paths = {name: str(tmp_path / f"{name}.h5") for name in ("data", "model", "attack", "output")}
    with writing(paths["data"], Provenance()) as file:
        file.put("classes", ["a", "b", "c"], "names", ("class",))
        for split in ("train", "test"):
            put_split(file, split, images, labels, np.random.default_rng(0))
    settings = {"architecture": "fully_connected", "hidden": [12], "classes": 3, "input_shape": [1, SIDE, SIDE]}
    with writing(paths["model"], Provenance()) as file:
        put_network(file, settings, weights_of(network), 1.0, (0.9, 1.0), 60)
    other = np.array([np.flatnonzero(labels != labels[i])[0] for i in range(10)])

    def write(success):
        with writing(paths["attack"], Provenance()) as file:
            file.put("x", images[:10], "images", IMAGE_DIMS)
            file.put("x_adv", images[other], "adversarial", IMAGE_DIMS)
            file.put("success", np.full(10, success), "success", ("image",))
            file.put("index", np.arange(10), "origin", ("image",))
        return paths

    return write


SPECTRA = {"lines": 2, "radii": [0.001, 0.2], "points_per_dimension": 3.0, "projections": ["line", "descent"]}
LEVEL_SETS = {
    **{"lines": 20, "radii": [0.05, 0.5], "samples": 50, "candidates": 8, "dimension_points": 1, "traced": 2},
    **{"dimension_radii": [0.001], "points_per_dimension": 3.0, "points": 11, "step": 0.1, "rounds": 12},
}
COMMON = {"confidence": 0.95, "batch_size": 512, "line_seed": 2, "seed": 1, "provenance": Provenance()}


def test_stage_of_spectra_finds_the_plane_near_the_boundary(files, tmp_path):
    paths = files(True)
    decompose(**paths, **SPECTRA, **COMMON)
    with reading(paths["output"]) as file:
        for group in ("natural", "adversarial"):
            assert file.read(f"{group}/centred").shape == (2, 2, 2, 2, SIDE**2)
            assert (file.read(f"{group}/dropped")[:, 0] == 1).all()
            assert file.read(f"{group}/summary/0/flat/line/n") == 2
    picture = tmp_path / "spectra.png"
    boundary_spectra.draw(spectra=paths["output"], outputs=[str(picture)], style="paper")
    assert picture.stat().st_size > 10_000
    assert not plt.get_fignums()


def test_stage_of_level_sets_counts_what_it_finds(files, tmp_path):
    paths = files(True)
    decompose(**paths, **SPECTRA, **COMMON)
    with reading(paths["output"]) as file:
        crossed = {group: file.read(f"{group}/index") for group in ("natural", "adversarial")}
    measure_level_sets(**paths, **LEVEL_SETS, **COMMON)
    with reading(paths["output"]) as file:
        for group in ("natural", "adversarial"):
            assert len(crossed[group]) == 2
            assert np.array_equal(file.read(f"{group}/index")[:2], crossed[group]), "both stages follow the same lines"
        for group in ("natural", "adversarial"):
            n = int(file.read(f"{group}/n"))
            assert n > 0
            count = file.read(f"{group}/searched/count")
            assert (count >= file.read(f"{group}/sampled/count")).all()
            assert file.read(f"{group}/searched/share/value") == pytest.approx((count >= 3).mean(0))
            assert set(file.read(f"{group}/rank")) == {2}
            p = file.read(f"{group}/probabilities")
            assert p[:, 0] == pytest.approx(p[:, 1], abs=1e-4)
            assert file.read(f"{group}/dimension/boundary_dropped").tolist() == [[1]]
            assert file.read(f"{group}/dimension/level_dropped").tolist() == [[2]]
        status = file.read("paths/between/status")
        assert file.read("paths/between/connected/value") == pytest.approx((status == "connected").mean())
    picture = tmp_path / "classes.png"
    boundary_classes.draw(level_sets=paths["output"], outputs=[str(picture)], style="paper")
    assert picture.stat().st_size > 10_000


def test_an_attack_without_success_leaves_an_empty_group(files, tmp_path):
    paths = files(False)
    decompose(**paths, **SPECTRA | {"lines": 1}, **COMMON)
    with reading(paths["output"]) as file:
        assert file.read("adversarial/centred").shape == (0, 2, 2, 2, SIDE**2)
        assert file.read("adversarial/summary/0/flat/line/n") == 0
    boundary_spectra.draw(spectra=paths["output"], outputs=[str(tmp_path / "a.png")], style="paper")
    measure_level_sets(**paths, **LEVEL_SETS, **COMMON)
    with reading(paths["output"]) as file:
        assert file.read("adversarial/n") == 0
        assert file.read("paths/adversarial/connected/n") == file.read("paths/between/connected/n") == 0
        assert np.isnan(file.read("adversarial/searched/share/value")).all()
    boundary_classes.draw(level_sets=paths["output"], outputs=[str(tmp_path / "b.png")], style="paper")
