"""The stage `boundary` and its figures, on a linear classifier with closed forms and on a small trained network."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from scipy import stats

from neighborhoods.networks.architectures import fully_connected, weights_of
from neighborhoods.training.minibatch import train
from pipeline.results.shared import IMAGE_DIMS, put_network, put_split
from pipeline.store import Provenance, StoreError, reading, writing
from scripts.boundary.measure import measure
from scripts.figures import normals, persistence_reexamined, skewness

pytestmark = pytest.mark.usefixtures("one_thread")

SIDE, CLASSES = 4, 3
SETTINGS = {
    **{"lines": 20, "fitted": 4, "fit_radii": [0.02], "fit_samples": 5, "turned": 5, "radii": [0.1, 1.0], "walks": 3},
    **{"threshold": 1.0, "directions": 3, "traced": 2, "points": 11, "images": 5, "confidence": 0.95},
    **{"batch_size": 512, "line_seed": 4, "seed": 3, "provenance": Provenance()},
}


def images_of(n, seed):
    """Images around three centres, and their classes."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, CLASSES, n)
    centres = np.random.default_rng(0).uniform(0.2, 0.8, (CLASSES, 1, SIDE, SIDE))
    x = np.clip(centres[labels] + 0.1 * generator.normal(size=(n, 1, SIDE, SIDE)), 0, 1)
    return x.astype(np.float32), labels


def files(folder, network, hidden, success):
    data, model, attack = (str(folder / f"{name}.h5") for name in ("data", "model", "attack"))
    generator = np.random.default_rng(1)
    x, y = images_of(150, 5)
    with writing(data, Provenance()) as file:
        file.put("classes", ["a", "b", "c"], "names", ("class",))
        put_split(file, "train", *images_of(200, 4), generator)
        put_split(file, "test", x, y, generator)
    settings = {"architecture": "fully_connected", "hidden": hidden, "classes": CLASSES, "input_shape": [1, SIDE, SIDE]}
    with writing(model, Provenance()) as file:
        put_network(file, settings, weights_of(network), 1.0, (0.6, 1.0), 150)
    with torch.no_grad():
        right = (network(torch.from_numpy(x)).argmax(1).numpy() == y).nonzero()[0]
    # Each toward both other classes: to the last image of that class, which need not be near.
    index = np.repeat(right[:12], 2)
    target = (y[index] + np.tile([1, 2], 12)) % CLASSES
    last = np.array([x[right[y[right] == c][-1]] for c in range(CLASSES)])
    with writing(attack, Provenance()) as file:
        file.put("x", x[index], "images", IMAGE_DIMS)
        file.put("x_adv", last[target], "adversarial", IMAGE_DIMS)
        file.put("success", np.full(24, success), "success", ("image",))
        file.put("index", index, "origin", ("image",))
        file.put("target", target, "aim", ("image",))
        file.put("classes", ["a", "b", "c"], "names", ("class",))
    return {"data": data, "model": model, "attack": attack, "output": str(folder / "boundary.h5")}


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    """A linear classifier: classes by the nearest centre."""
    network = fully_connected((1, SIDE, SIDE), (), CLASSES).eval().requires_grad_(False)
    centres = torch.from_numpy(np.random.default_rng(0).uniform(0.2, 0.8, (CLASSES, SIDE**2)).astype(np.float32))
    network.fc1.weight.copy_(centres)
    network.fc1.bias.copy_(-centres.square().sum(1) / 2)
    paths = files(tmp_path_factory.mktemp("flat"), network, [], True)
    measure(**paths, **SETTINGS)
    return paths, centres.double().numpy()


def test_lines_of_a_linear_classifier_have_closed_forms(flat):
    paths, centres = flat
    with reading(paths["output"]) as file, reading(paths["data"]) as data:
        x, y = data.read("x_test").reshape(150, -1).astype(float), data.read("y_test")
        index, pair = file.read("natural/index"), file.read("natural/pair")
        attacked = file.read("adversarial/index")
        assert len(np.unique(index)) == index.size == 40
        assert not np.isin(index, attacked).any()
        assert (y[index[:, 0]] != y[index[:, 1]]).all()
        line = x[index[:, 1]] - x[index[:, 0]]
        w = centres[pair[:, 1]] - centres[pair[:, 0]]
        cosine = (line * w).sum(1) / np.linalg.norm(line, axis=1) / np.linalg.norm(w, axis=1)
        angle = np.degrees(np.arccos(np.abs(cosine)))
        # Single precision: relative roundings of 6e-8 in some 16 coordinates.
        assert file.read("natural/skewness") == pytest.approx(angle, abs=1e-3)
        summary = file.read_group("natural/summary/skewness")
        student = stats.ttest_1samp(angle, 0).confidence_interval()
        assert (summary["mean_low"], summary["mean_high"]) == pytest.approx((student.low, student.high), abs=1e-3)
        n, t = 20, file.read("natural/t")
        assert summary["n"] == n
        assert file.read("natural/distance") == pytest.approx(t * np.linalg.norm(line, axis=1), rel=1e-5)
        assert np.abs(file.read("natural/gap")).max() < 1e-5
        rho = file.read_group("natural/correlation/distance")
        assert rho["value"] == pytest.approx(stats.spearmanr(angle, file.read("natural/distance")).statistic)
        # One normal for each pair of classes: nothing turns, and least squares finds the gradient.
        assert file.read("natural/turning") == pytest.approx(0, abs=1e-3, nan_ok=True)
        assert np.isinf(file.read("natural/turning_radius")).all()
        assert file.read("natural/summary/turning_radius/mean") == 1
        assert file.read("natural/summary/turning_radius/censored_high") == 5
        # Margins of about 1 have roundings of 1e-7, which the radius of 0.02 makes larger.
        assert file.read("natural/angle")[:, 0, 1] == pytest.approx(0, abs=0.02)
        assert file.read("null/energy") == 3 / 16
        mean = {kind: file.read(f"{kind}/skewness").mean() for kind in ("natural", "adversarial")}
        difference = file.read("difference/skewness/mean")
        assert difference == pytest.approx(mean["natural"] - mean["adversarial"], rel=1e-9)


def test_traces_are_those_of_the_first_lines(flat):
    paths, centres = flat
    with reading(paths["output"]) as file:
        probability, t = file.read("trace/probability"), file.read("trace/t")
        assert probability.shape == (2, 11, CLASSES)
        crossed, pair = file.read("adversarial/t")[:2], file.read("adversarial/pair")[:2]
        for k in range(2):
            before = t < crossed[k]
            assert (probability[k, before].argmax(1) == pair[k, 0]).all()
        images = file.read("trace/images")
        logits = images[:, -1].reshape(2, -1) @ centres.T - (centres**2).sum(1) / 2
        assert probability[:, -1].argmax(1).tolist() == logits.argmax(1).tolist()


@pytest.fixture(scope="module")
def curved(tmp_path_factory):
    """A small trained network."""
    torch.manual_seed(0)
    network = fully_connected((1, SIDE, SIDE), (12,), CLASSES)
    data = [torch.from_numpy(part) for part in (*images_of(200, 4), *images_of(150, 5))]
    train(network, *data, epochs=40)
    return lambda success: files(tmp_path_factory.mktemp("curved"), network.eval(), [12], success)


def test_a_trained_network_is_measured_and_drawn(curved, tmp_path):
    paths = curved(True)
    measure(**paths, **SETTINGS)
    with reading(paths["output"]) as file:
        for kind in ("natural", "adversarial"):
            angle = file.read(f"{kind}/angle")
            assert angle == pytest.approx(angle.swapaxes(1, 2), abs=1e-9, nan_ok=True)
            assert ((angle >= 0) & (angle <= 90) | np.isnan(angle)).all()
            # A line reaches the boundary no sooner than the nearest one; that is found to 1e-5.
            assert (file.read(f"{kind}/distance") >= file.read(f"{kind}/nearest") * (1 - 1e-4)).all()
    for figure in (skewness, normals):
        figure.draw(boundary=paths["output"], outputs=[str(tmp_path / "a.png")], style="paper")
    assert (tmp_path / "a.png").stat().st_size > 10_000


def texts_of(monkeypatch, figure, **inputs):
    """Every text of a figure's legends and titles."""
    found = []

    def look(drawn, outputs):
        for axes in drawn.axes:
            legend = axes.get_legend()
            found.extend(text.get_text() for text in (legend.get_texts() if legend else []))
            found.append(axes.get_title())

    monkeypatch.setattr(figure, "save", look)
    figure.draw(outputs=[], style="paper", **inputs)
    plt.close("all")
    return found


def test_without_a_successful_attack_files_and_figures_say_so(curved, monkeypatch):
    paths = curved(False)
    measure(**paths, **SETTINGS)
    with reading(paths["output"]) as file:
        assert file.read("adversarial/summary/skewness/n") == 0
        assert file.read("natural/summary/skewness/n") == 20
        assert np.isnan(file.read("difference/skewness/low"))
        assert file.read("trace/probability").shape == (0, 11, CLASSES)
    found = texts_of(monkeypatch, skewness, boundary=paths["output"])
    assert "natural – adversarial: n = 0, no such line" in found
    found = texts_of(monkeypatch, normals, boundary=paths["output"])
    assert "natural – adversarial, n = 0" in found
    assert "difference of normals: not measured" in found


def test_the_line_of_both_files_must_be_one(flat, tmp_path, monkeypatch):
    paths, _ = flat
    with reading(paths["output"]) as file:
        index, target = (file.read(f"adversarial/{name}")[:2] for name in ("index", "target"))
        crossed = file.read("adversarial/skewness")[1]
    for name, aims in (("same", target), ("other", target[::-1] + 1)):
        with writing(tmp_path / f"{name}.h5", Provenance()) as file:
            file.put("t", np.linspace(0, 1, 3), "t", ("point",))
            file.put("gamma", [0.7], "gamma", ("gamma",))
            file.put("samples", 50, "samples", ())
            for column in ("sigma", "low", "high"):
                file.put(column, np.ones((2, 3, 1)), column, ("pair", "point", "gamma"))
            file.put("index", index, "index", ("pair",))
            file.put("target", aims, "target", ("pair",))
    inputs = {"boundary": paths["output"], "gammas": [0.7]}
    found = texts_of(monkeypatch, persistence_reexamined, interpolation=str(tmp_path / "same.h5"), pair=1, **inputs)
    assert any(f"{crossed:.1f}° from the normal" in text for text in found)
    for name, pair, message in (("other", 1, "another line"), ("same", 2, "there is no pair 2")):
        with pytest.raises(StoreError, match=message):
            persistence_reexamined.draw(
                interpolation=str(tmp_path / f"{name}.h5"), pair=pair, outputs=[], style="paper", **inputs
            )
