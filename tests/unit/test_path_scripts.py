"""Scripts about the training path and the importance of images: what they write and draw, on tiny inputs."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from scipy import stats

from neighborhoods.networks.architectures import build
from neighborhoods.path_kernel.path import train_path
from pipeline.figures import style
from pipeline.results.shared import put_split, read_path
from pipeline.store import Provenance, StoreError, reading, writing
from scripts.figures import datamodeling_score, interpolated_weights, path_geometry, sample_importance
from scripts.path_kernel.interpolate_weights import interpolate
from scripts.path_kernel.measure_geometry import measure
from scripts.path_kernel.rank_importance import rank
from scripts.path_kernel.record import record

SIDE, N = 4, 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("paths")
    generator = np.random.default_rng(0)
    labels = np.arange(40) % 3
    images = (generator.random((40, 1, SIDE, SIDE)) * 0.6).astype(np.float32)
    images[np.arange(40), 0, labels] += 0.4
    with writing(str(folder / "data.h5"), Provenance()) as file:
        file.put("classes", ["a", "b", "c"], "names", ("class",))
        for split in ("train", "test"):
            put_split(file, split, images, labels, generator)
    return folder


@pytest.fixture(scope="module")
def path(folder):
    network = {"architecture": "fully_connected", "hidden": [5]}
    settings = {"learning_rate": 0.2, "steps": 8, "loss": "cross_entropy", "train_samples": N, "seed": 1}
    output = str(folder / "path.h5")
    record(data=str(folder / "data.h5"), output=output, network=network, provenance=Provenance(), **settings)
    return output


@pytest.fixture(scope="module")
def geometry(folder, path):
    output = str(folder / "geometry.h5")
    settings = {"starts": 3, "places": [0.0, 0.5], "fractions": [0.0, 0.3], "samples": 4, "seed": 2, "confidence": 0.95}
    measure(data=str(folder / "data.h5"), path=path, output=output, provenance=Provenance(), **settings)
    return output


@pytest.fixture(scope="module")
def importance(folder, path):
    output = str(folder / "importance.h5")
    settings = {
        "queries": 6,
        "subsets": 5,
        "shown": 2,
        "neighbours": 3,
        "tolerance": 1e-8,
        "confidence": 0.95,
        "seed": 3,
    }
    rank(data=str(folder / "data.h5"), path=path, output=output, provenance=Provenance(), **settings)
    return output


@pytest.fixture(scope="module")
def interpolated(folder):
    output = str(folder / "interpolated.h5")
    settings = {"starts": 2, "points": 5, "train_images": 20, "attacked": 10, "epsilon": 0.2, "step_size": 0.1}
    settings |= {"steps": 2, "confidence": 0.9, "seed": 4, "training": {"epochs": 3, "batch_size": 10}}
    network = {"architecture": "fully_connected", "hidden": [5]}
    interpolate(data=str(folder / "data.h5"), output=output, network=network, provenance=Provenance(), **settings)
    return output


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved, kept open until the test has looked at them."""
    figures = []
    save = style.save
    for module in (path_geometry, interpolated_weights, sample_importance, datamodeling_score):
        monkeypatch.setattr(module, "save", lambda figure, outputs: (save(figure, outputs), figures.append(figure)))
    yield figures
    plt.close("all")


def test_the_recorded_path_is_read_as_it_was_trained(path):
    stored = read_path(path)
    assert stored.weights.shape == (9, (16 + 1) * 5 + (5 + 1) * 3)
    assert stored.settings["hidden"] == [5]
    assert len(stored.rows) == N


def test_geometry_is_written_with_intervals(geometry, path):
    w = read_path(path).weights
    with reading(geometry) as file:
        assert file.read("arc", ("state",))[-1] == pytest.approx(np.linalg.norm(np.diff(w, axis=0), axis=1).sum())
        ratios = file.read("start/arc_over_chord")
        assert ratios[0] == pytest.approx(file.read("arc")[-1] / file.read("chord")[-1])
        assert len(set(ratios)) == 3, "other starts are other paths"
        exact = stats.ttest_1samp(ratios, 0).confidence_interval()
        low, high = (file.read(f"summary/arc_over_chord/{name}") for name in ("mean_low", "mean_high"))
        assert (low, high) == pytest.approx((exact.low, exact.high))
        assert file.read("beside/step").tolist() == [0, 4]
        cosine = file.read("beside/cosine", ("place", "fraction", "sample"))
        assert cosine.shape == (2, 2, 4)
        # Without a distance from it, weights beside the path are on it.
        assert cosine[:, 0] == pytest.approx(np.repeat(file.read("to_end")[[0, 4], None], 4, 1))
        assert file.read("beside/4/0.3/mean") == pytest.approx(cosine[1, 1].mean())


def test_shares_add_up_and_subsets_are_retrained(importance, path, folder):
    with reading(importance) as file:
        share = file.read("share", ("method", "query", "sample"))
        kept, retrained, predicted = (file.read(name) for name in ("kept", "retrained", "predicted"))
        methods = file.read("method").tolist()
        shown, helpful, harmful = (file.read_group(name) for name in ("shown", "helpful", "harmful"))
        margins = file.read("margin")
    assert share.shape == (5, 6, N)
    assert len(methods) == 5
    assert predicted == pytest.approx(np.einsum("aqn,mn->aqm", share, kept))
    assert kept.sum(1).tolist() == [N // 2] * 5
    stored = read_path(path)
    with reading(str(folder / "data.h5")) as file:
        x, y = file.read("x_train")[stored.rows], file.read("y_train")[stored.rows]
        q = file.read("x_test")[file.read("order_test")[:6]]
    network = build(**stored.settings).double()
    torch.nn.utils.vector_to_parameters(torch.tensor(stored.weights[0]), network.parameters())
    rows = torch.tensor(kept[2])
    images, labels = torch.tensor(x).double()[rows], torch.tensor(y)[rows]
    alone = train_path(network, images, labels, learning_rate=0.2, steps=8)
    outputs = []
    for w in (torch.tensor(stored.weights[-1]), alone.weights[-1], alone.start):
        torch.nn.utils.vector_to_parameters(w, network.parameters())
        outputs.append(network(torch.tensor(q).double()).detach().numpy())
    first, second = np.argsort(-outputs[0], axis=1)[:, :2].T
    trained, on_half, before = (y[np.arange(6), first] - y[np.arange(6), second] for y in outputs)
    assert margins == pytest.approx(trained)
    assert retrained[:, 2] == pytest.approx(on_half, abs=1e-10)
    assert before + share[0].sum(1) == pytest.approx(trained, abs=1e-7), "the tolerance of the path kernel"
    assert shown["margin"].tolist() == [margins.min(), margins.max()]
    row = int(margins.argmin())
    assert helpful["share"][0] == pytest.approx(np.sort(share[0, row])[::-1][:3])
    assert harmful["share"][0] == pytest.approx(np.sort(share[0, row])[:3])


def test_networks_between_start_and_end_carry_intervals(interpolated):
    with reading(interpolated) as file:
        assert file.read("t").tolist() == [0, 0.25, 0.5, 0.75, 1]
        right = file.read("robust/right", ("start", "point", "image"))
        share, low, high = (file.read(f"robust/{name}", ("start", "point")) for name in ("share", "low", "high"))
        assert share == pytest.approx(right.mean(2))
        exact = stats.binomtest(int(right[1, 3].sum()), 10).proportion_ci(0.9, "exact")
        assert (low[1, 3], high[1, 3]) == pytest.approx((exact.low, exact.high))
        norm = file.read("norm")
        assert file.read("start/norm_change") == pytest.approx(norm[:, -1] / norm[:, 0] - 1)
        assert file.read("loss")[0, -1] < file.read("loss")[0, 0]


def test_each_figure_shows_what_is_stored(drawn, geometry, importance, interpolated, tmp_path):
    output = {"outputs": [str(tmp_path / "a.png")], "style": "paper"}
    path_geometry.draw(geometry=geometry, **output)
    interpolated_weights.draw(interpolated=interpolated, **output)
    sample_importance.draw(importance=importance, **output)
    datamodeling_score.draw(importance=importance, **output)
    shape, between, images, score = drawn
    with reading(geometry) as file:
        assert shape.axes[0].lines[1].get_ydata() == pytest.approx(file.read("arc"))
        assert shape.axes[1].lines[0].get_ydata() == pytest.approx(file.read("to_end"))
    with reading(interpolated) as file:
        assert between.axes[0].lines[0].get_ydata() == pytest.approx(file.read("test_correct/share")[0])
        assert between.axes[2].lines[-1].get_ydata() == pytest.approx(file.read("norm")[0])
    with reading(importance) as file:
        bars = [bar.get_width() for bar in score.axes[0].patches]
        assert bars == pytest.approx(file.read("score/score"))
        assert len([axes for axes in images.axes if axes.images]) == 2 * (1 + 2 * 3)
        assert f"{file.read('helpful/share')[0, 0]:+.3f}" in images.axes[1].get_title()
    for picture, width in ((shape, 3.5), (between, 3.5), (images, 7), (score, 3.5)):
        assert picture.get_size_inches()[0] <= width
        assert all(axes.get_xlabel() or axes.get_ylabel() or axes.images or axes.lines for axes in picture.axes)


def test_points_that_are_no_images_are_named(tmp_path):
    path = str(tmp_path / "importance.h5")
    with writing(path, Provenance()) as file:
        file.put("classes", ["a"], "names", ("class",))
        for name, dims in (
            ("shown", ("shown", "axis0")),
            ("helpful", ("shown", "axis0")),
            ("harmful", ("shown", "axis0")),
        ):
            file.put(f"{name}/x", np.zeros((1, 2)), "points", dims)
    with pytest.raises(StoreError, match=r"expected images of 1 or 3 colours to draw, found shape \(1, 2\)"):
        sample_importance.draw(importance=path, outputs=[str(tmp_path / "a.png")], style="paper")
