"""Scripts about boundaries of nearest training points: what they write and draw, on tiny inputs."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.neighbors import KNeighborsClassifier

from neighborhoods.networks.architectures import restore
from pipeline.figures import style
from pipeline.results.shared import put_split, read_network, read_split
from pipeline.store import Provenance, StoreError, reading, writing
from scripts.boundary.compare_voronoi import compare
from scripts.boundary.map_plane import map_plane
from scripts.data.make_gaussians import make_gaussians
from scripts.figures import boundary_plane, voronoi_angles
from scripts.train.train import train_network

pytestmark = pytest.mark.usefixtures("one_thread")
SIDE, N, ATTACKED, LINES = 4, 240, 60, 25
TRAINING = {"epochs": 30, "batch_size": 20, "learning_rate": 0.01}
GROUPS = ("natural", "adversarial", "neighbours", "others")


def trained(folder, hidden, data, epochs=30):
    output = str(folder / "model.h5")
    network = {"architecture": "fully_connected", "hidden": hidden}
    settings = {"network": network, "training": {**TRAINING, "epochs": epochs}, "seed": 1}
    train_network(data=data, output=output, provenance=Provenance(), **settings)
    return output


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    """A dataset of images in three classes near a subspace, a network, and an attack: images mixed with others."""
    folder = tmp_path_factory.mktemp("cell")
    generator = np.random.default_rng(0)
    places = generator.random((N, 6))
    labels = (3 * places[:, 0]).astype(int)
    images = places @ generator.random((6, SIDE * SIDE)) / 8 + 0.1 * generator.random((N, SIDE * SIDE))
    images = images.reshape(N, 1, SIDE, SIDE).astype(np.float32)
    data = str(folder / "data.h5")
    with writing(data, Provenance()) as file:
        file.put("classes", ["a", "b", "c"], "names", ("class",))
        for split, part in (("train", slice(0, N // 2)), ("test", slice(N // 2, N))):
            put_split(file, split, images[part], labels[part], generator)
    model = trained(folder, [12], data)
    test, stored = read_split(data, "test"), read_network(model)
    network = restore(stored.settings, stored.weights, "cpu")
    mixed = 0.4 * test.images + 0.6 * test.images[::-1]
    classes = [network(torch.from_numpy(x.copy())).argmax(1).numpy() for x in (test.images, mixed)]
    success = (classes[0] == test.labels) & (classes[1] != test.labels)
    attack = str(folder / "attack.h5")
    with writing(attack, Provenance()) as file:
        for name, values in (("x", test.images), ("x_adv", mixed)):
            file.put(name, values[:ATTACKED], name, ("image", "channel", "row", "column"))
        file.put("success", success[:ATTACKED], "left its class", ("image",))
        file.put("index", np.arange(ATTACKED), "origin", ("image",))
    return {"data": data, "model": model, "attack": attack}


@pytest.fixture(scope="module")
def voronoi(cell, tmp_path_factory):
    output = str(tmp_path_factory.mktemp("voronoi") / "voronoi.h5")
    settings = {"lines": LINES, "programmes": 3, "confidence": 0.9, "batch_size": 512, "line_seed": 2, "seed": 2}
    compare(output=output, provenance=Provenance(), **cell, **settings)
    return output


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plane")
    data = str(folder / "data.h5")
    means = [[0.0, 3.0], [3.0, 0.0], [4.0, 4.0]]
    make_gaussians(output=data, means=means, variance=1.0, per_class=60, seed=1, provenance=Provenance())
    model, output = trained(folder, [8], data, epochs=10), str(folder / "plane.h5")
    settings = {"grid": 30, "train_points": 50, "lines": 3, "seed": 1, "provenance": Provenance()}
    map_plane(data=data, model=model, output=output, **settings)
    return {"data": data, "model": model, "plane": output}


def points_of(file, cell, group):
    """Flattened starts and ends of a group's lines."""
    if group == "adversarial":
        index = file.read(f"{group}/index", ("line",))
        with reading(cell["attack"]) as attack:
            ends = [attack.read(name)[index] for name in ("x", "x_adv")]
    else:
        index = file.read(f"{group}/index", ("line", "end"))
        split = read_split(cell["data"], "test" if group == "natural" else "train")
        ends = [split.images[column] for column in index.T]
    return [values.reshape(len(index), -1).astype(float) for values in ends]


@pytest.mark.parametrize("group", GROUPS)
def test_both_classes_change_where_it_is_stored(cell, voronoi, group):
    train, stored = read_split(cell["data"], "train"), read_network(cell["model"])
    network = restore(stored.settings, stored.weights, "cpu")
    nearest = KNeighborsClassifier(1).fit(train.images.reshape(len(train.labels), -1), train.labels)

    def network_class(x):
        return network(torch.from_numpy(x).float().reshape(-1, 1, SIDE, SIDE)).argmax(1).numpy()

    with reading(voronoi) as file:
        start, end = points_of(file, cell, group)
        assert 3 < len(start) <= LINES
        for name, classify, step in (("voronoi", nearest.predict, 1e-8), ("network", network_class, 1e-4)):
            t = file.read(f"{group}/{name}/t")
            known = np.isfinite(t)
            places = [start + np.clip(t + sign * step, 0, 1)[:, None] * (end - start) for sign in (-1, 1)]
            before, beyond = (classify(x[known]) for x in places)
            assert (before == classify(start)[known]).all()
            assert (before != beyond).mean() > 0.9, "a thin region may end within a step"
            assert (classify(start) == classify(end))[~known].all()


def test_groups_are_what_they_are_called(cell, voronoi):
    with reading(voronoi) as file:
        for group in GROUPS:
            ends = file.read(f"{group}/index").ravel()
            assert len(set(ends)) == len(ends), "no image is in two lines"
        assert file.read("neighbours/voronoi/skewness").max() < 1e-4
        assert file.read("neighbours/voronoi/t") == pytest.approx(0.5)
        assert np.array_equal(
            np.column_stack([file.read(f"neighbours/voronoi/{side}") for side in ("inner", "outer")]),
            file.read("neighbours/index"),
        )
        assert file.read("others/voronoi/skewness").min() > 1e-4
        assert np.isnan(file.read("neighbours/correlation/value")), "0 has no ranks"
        assert int(file.read("delaunay/n")) == 3
        assert file.read("others/delaunay", ("tested",)).mean() == file.read("delaunay/value")
        assert int(file.read("gabriel/n")) >= len(file.read("others/index")) + len(file.read("neighbours/index"))
        median = np.degrees(np.arccos(np.sqrt(stats.beta.median(0.5, 7.5))))
        low, mean, high = (float(file.read(f"null/skewness/{name}")) for name in ("low", "mean", "high"))
        assert low < mean < median < high, "skewed to small angles"


def test_intervals_are_those_of_the_stored_angles(voronoi):
    with reading(voronoi) as file:
        angles = {name: file.read(f"others/{name}/skewness") for name in ("network", "voronoi")}
        exact = stats.ttest_1samp(angles["voronoi"], 0).confidence_interval(0.9)
        low, high = (float(file.read(f"others/summary/voronoi/mean_{end}")) for end in ("low", "high"))
        assert (low, high) == pytest.approx((exact.low, exact.high))
        apart = angles["network"] - angles["voronoi"]
        assert float(file.read("others/summary/difference/mean")) == pytest.approx(apart.mean())
        rho = stats.spearmanr(angles["network"], angles["voronoi"]).statistic
        assert float(file.read("others/correlation/value")) == pytest.approx(rho)
        crossed = np.isfinite(file.read("adversarial/voronoi/skewness"))
        exact = stats.binomtest(int(crossed.sum()), len(crossed)).proportion_ci(0.9, "exact")
        found = [float(file.read(f"adversarial/changed/voronoi/{name}")) for name in ("value", "low", "high", "n")]
        assert found == pytest.approx([crossed.mean(), exact.low, exact.high, len(crossed)])


def test_an_attack_without_success_leaves_its_group_empty(cell, tmp_path):
    path, output = str(tmp_path / "attack.h5"), str(tmp_path / "voronoi.h5")
    with reading(cell["attack"]) as old, writing(path, Provenance()) as file:
        for name in ("x", "x_adv"):
            file.put(name, old.read(name), name, ("image", "channel", "row", "column"))
        file.put("success", np.zeros(len(old.read("index")), bool), "none", ("image",))
        file.put("index", old.read("index"), "origin", ("image",))
    settings = {
        "lines": 5,
        "programmes": 0,
        "confidence": 0.9,
        "batch_size": 512,
        "line_seed": 2,
        "seed": 2,
        "provenance": Provenance(),
    }
    compare(output=output, **{**cell, "attack": path}, **settings)
    with reading(output) as file:
        assert file.read("adversarial/network/skewness").shape == (0,)
        assert int(file.read("adversarial/summary/network/n")) == 0
        assert int(file.read("delaunay/n")) == 0
    voronoi_angles.draw(voronoi=output, outputs=[str(tmp_path / "a.png")], style="paper")


def test_the_plane_is_mapped_by_each_classifier(plane):
    train, stored = read_split(plane["data"], "train"), read_network(plane["model"])
    network = restore(stored.settings, stored.weights, "cpu")
    with reading(plane["plane"]) as file:
        x, y = file.read("x"), file.read("y")
        everywhere = np.stack(np.meshgrid(x, y), 2)
        shares = network(torch.from_numpy(everywhere).float().reshape(-1, 2)).softmax(1).detach().numpy()
        assert file.read("network/level", ("row", "column")) == pytest.approx(shares.max(1).reshape(30, 30), abs=1e-6)
        points, labels = file.read("train/x"), file.read("train/label")
        assert np.array_equal(points, train.images[train.order[:50]].astype(np.float32))
        nearest = KNeighborsClassifier(1).fit(points, labels).predict(everywhere.reshape(-1, 2)).reshape(30, 30)
        assert np.array_equal(file.read("voronoi/class"), nearest)
        weights = file.read("delaunay/weight", ("row", "column", "class"))
        inside = np.isfinite(weights[..., 0])
        assert 0 < inside.sum() < inside.size
        assert weights[inside].sum(1) == pytest.approx(np.ones(inside.sum()))
        assert (file.read("delaunay/boundary_level") <= 0.5 + 1e-12).all()
        ends, point = file.read("lines/ends"), file.read("lines/voronoi/point")
        across, line = point - ends[:, 0], ends[:, 1] - ends[:, 0]
        assert across[:, 0] * line[:, 1] == pytest.approx(across[:, 1] * line[:, 0], abs=1e-6)


def test_maps_need_two_coordinates(cell, tmp_path):
    output = str(tmp_path / "plane.h5")
    settings = {"grid": 5, "train_points": 9, "lines": 2, "seed": 0, "provenance": Provenance()}
    with pytest.raises(StoreError, match=r"points of two coordinates, found \(1, 4, 4\)"):
        map_plane(data=cell["data"], model=cell["model"], output=output, **settings)


def test_each_figure_shows_what_is_stored(voronoi, plane, tmp_path, monkeypatch):
    drawn, save = [], style.save
    for module in (voronoi_angles, boundary_plane):
        monkeypatch.setattr(module, "save", lambda figure, outputs: (save(figure, outputs), drawn.append(figure)))
    output = {"outputs": [str(tmp_path / "a.png")], "style": "paper"}
    voronoi_angles.draw(voronoi=voronoi, **output)
    boundary_plane.draw(plane=plane["plane"], **output)
    angles, boundaries = drawn
    with reading(voronoi) as file:
        others = file.read("others/network/skewness")
        mean = file.read("others/summary/network/mean")
    second = angles.axes[1]
    heights = [bar.get_height() for bar in second.patches if isinstance(bar, plt.Rectangle)]
    expected = np.histogram(others, np.linspace(0, 90, 31))[0] / len(others)
    assert any(heights[i : i + 30] == pytest.approx(expected) for i in range(len(heights) - 29))
    texts = [text.get_text() for text in second.get_legend().get_texts()]
    assert any(text.startswith(f"network: mean {mean:.1f} [") for text in texts)
    with reading(plane["plane"]) as file:
        crossings, labels = file.read("lines/network/point"), file.read("lines/network/skewness")
    offsets = [part.get_offsets() for part in boundaries.axes[0].collections]
    assert any(np.shape(o) == crossings.shape and np.allclose(o, crossings) for o in offsets)
    assert [text.get_text() for text in boundaries.axes[0].texts] == [f"{angle:.0f}°" for angle in labels]
    for picture in drawn:
        assert picture.get_size_inches()[0] <= 3.5
        plt.close(picture)
