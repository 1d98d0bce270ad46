"""What the scripts of manifolds write and draw, and the layers they look at."""

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy import integrate, optimize, stats
from torch import nn

from neighborhoods.manifolds.capacity import ball_capacity, point_capacity, simulated_capacity
from neighborhoods.manifolds.centers import UnsuitedManifoldsError
from neighborhoods.manifolds.layers import ANALYSED, analyse
from neighborhoods.manifolds.mean_field import mftma
from neighborhoods.manifolds.points import activation_layers, layer_points, uniform_perturbations
from neighborhoods.networks.architectures import build, fully_connected, weights_of
from pipeline.results.shared import put_network, put_split
from pipeline.store import Provenance, StoreError, reading, writing
from scripts.figures import manifold_capacity, manifold_layers
from scripts.manifolds.measure import measure
from scripts.manifolds.measure_capacities import measure as measure_capacities

pytestmark = pytest.mark.usefixtures("one_thread")

SIDE, CLASSES, EXEMPLARS, SAMPLES = 5, 4, 10, 6
LAYERS = ["input", "relu1", "relu2", "fc3"]
SETTINGS = {
    "exemplars": EXEMPLARS,
    "samples": SAMPLES,
    "class_samples": 5,
    "epsilon": 0.1,
    "step_size": 0.03,
    "steps": 5,
    "features": 20,
    "n_t": 40,
    "kappa": 0.0,
    "trials": 8,
    "tolerance": 1e-4,
    "confidence": 0.9,
    "seed": 3,
    "provenance": Provenance(),
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Paths of data and of two random networks, the first with a checkpoint that is the second."""
    folder = tmp_path_factory.mktemp("manifolds")
    generator = np.random.default_rng(0)
    images = generator.random((80, 1, SIDE, SIDE)).astype(np.float32)
    data = str(folder / "data.h5")
    with writing(data, Provenance()) as file:
        file.put("classes", list("abcd"), "names", ("class",))
        for split in ("train", "test"):
            put_split(file, split, images, np.arange(80) % CLASSES, generator)
    settings = {"architecture": "fully_connected", "hidden": [18, 12], "classes": CLASSES}
    torch.manual_seed(0)
    networks = [fully_connected((1, SIDE, SIDE), (18, 12), CLASSES) for _ in range(2)]
    paths = [str(folder / f"network{place}.h5") for place in range(2)]
    for path, network in zip(paths, networks, strict=True):
        with writing(path, Provenance()) as file:
            put_network(file, {**settings, "input_shape": [1, SIDE, SIDE]}, weights_of(network), 0.5, (0.4, 0.6), 80)
            for name, array in weights_of(networks[1]).items():
                file.put(f"checkpoints/002/{name}", array, "parameter", [f"axis{i}" for i in range(array.ndim)])
    return data, *paths


@pytest.fixture(scope="module")
def measured(stored):
    data, *models = stored
    outputs = [model.replace("network", "manifolds") for model in models]
    for model, output in zip(models, outputs, strict=True):
        measure(data=data, model=model, output=output, **SETTINGS)
    return outputs


def test_numbers_are_those_of_the_analysis_of_each_layer(stored, measured):
    data, model, _ = stored
    with reading(data) as file:
        images, order, labels = (file.read(f"{name}_test") for name in ("x", "order", "y"))
    with reading(model) as file:
        weights = {name: torch.from_numpy(array) for name, array in file.read_group("weights").items()}
    network = fully_connected((1, SIDE, SIDE), (18, 12), CLASSES)
    network.load_state_dict(weights)
    x = torch.from_numpy(images[order[:EXEMPLARS]])
    ball = uniform_perturbations(x, epsilon=0.1, samples=SAMPLES, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        first = network[:3](ball.flatten(0, 1)).unflatten(0, (EXEMPLARS, SAMPLES)).mT
    expected = mftma(first, 0.0, 40, 3, confidence=0.9, tolerance=1e-4)
    with reading(measured[0]) as file:
        assert file.read("layers").tolist() == LAYERS
        assert file.read("features").tolist() == [20, 18, 12, CLASSES]
        assert file.read("is_logits").tolist() == [False, False, False, True]
        assert np.array_equal(file.read("label"), labels[order[:EXEMPLARS]])
        for name in ("capacity", "radius", "dimension", "center_correlation"):
            one = getattr(expected, name)
            found = [float(file.read(f"uniform/{name}/{key}")[1]) for key in ("value", "low", "high")]
            assert found == pytest.approx([one.value, one.low, one.high], rel=1e-5)
        each = file.read("uniform/manifolds/capacity", ("layer", "manifold"))
        known = slice(0, 3)
        harmonic = 1 / (1 / each[known]).mean(1)
        np.testing.assert_allclose(file.read("uniform/capacity/value")[known], harmonic)
        radius, dimension = (file.read(f"adversarial/{name}/value") for name in ("radius", "dimension"))
        assert file.read("adversarial/ball")[1] == pytest.approx(ball_capacity(radius[1], dimension[1]))
        assert file.read("adversarial/point")[1] == pytest.approx(point_capacity(radius[1] * dimension[1] ** 0.5))
        least = file.read("adversarial/simulated/features", ("layer", "trial"))
        assert least.shape == (4, SETTINGS["trials"])
        assert "uniform/simulated" not in file
        mistaken = file.read("adversarial/mistaken", ("exemplar",))
        assert set(np.round(mistaken * SAMPLES, 9)) <= set(range(SAMPLES + 1))
        assert file.read("class/manifolds/radius").shape == (4, CLASSES)


def test_a_layer_of_too_few_features_has_a_reason_and_no_numbers(measured):
    with reading(measured[0]) as file:
        for kind in ("uniform", "adversarial", "class"):
            status = file.read(f"{kind}/status").tolist()
            assert status[:3] == [ANALYSED] * 3
            assert status[3].endswith(f"found 4 features and {5 if kind == 'class' else 6} points")
            for name in ("capacity/value", "radius/low", "manifolds/dimension", "ball", "point", "removed"):
                assert np.isnan(file.read(f"{kind}/{name}")[3]).all()
            assert file.read(f"{kind}/capacity/n").tolist() == [CLASSES if kind == "class" else EXEMPLARS] * 3 + [0]


def test_checkpoints_and_layers_may_be_chosen(stored, measured, tmp_path):
    data, model, _ = stored
    output = str(tmp_path / "chosen.h5")
    few = {**SETTINGS, "class_samples": 0, "trials": 0}
    measure(data=data, model=model, output=output, epoch=2, layers=["relu2"], **few)
    with reading(output) as file, reading(measured[1]) as other:
        assert file.read("layers").tolist() == ["input", "relu2"]
        assert not file.read("is_logits").any()
        assert "class" not in file
        assert "adversarial/simulated" not in file
        # The checkpoint is the other network.
        whole = other.read("adversarial/manifolds/radius")[[0, 2]]
        np.testing.assert_allclose(file.read("adversarial/manifolds/radius"), whole, rtol=1e-6)


def test_equal_runs_give_equal_bytes(stored, measured, tmp_path):
    data, model, _ = stored
    again = tmp_path / "again.h5"
    measure(data=data, model=model, output=str(again), **SETTINGS)
    with open(measured[0], "rb") as file:
        assert again.read_bytes() == file.read()


def test_bad_input_gets_one_sentence(stored, tmp_path):
    data, model, _ = stored
    output = str(tmp_path / "none.h5")
    with pytest.raises(StoreError, match="at least 81 test images, found 80"):
        measure(data=data, model=model, output=output, **{**SETTINGS, "exemplars": 81})
    with pytest.raises(ValueError, match="expected layers among flatten, fc1, relu1, fc2, relu2, fc3, found relu7"):
        measure(data=data, model=model, output=output, layers=["relu7"], **SETTINGS)
    with pytest.raises(ValueError, match="kappa of at least 0"):
        measure(data=data, model=model, output=output, **{**SETTINGS, "kappa": -1.0})


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        (
            {"architecture": "strided_cnn", "input_shape": (1, 8, 8)},
            ["relu1", "relu2", "relu3", "fc2"],
        ),
        (
            {"architecture": "strided_cnn", "input_shape": (1, 8, 8), "normalization": {"mean": [0.5], "std": [0.5]}},
            ["network.relu1", "network.relu2", "network.relu3", "network.fc2"],
        ),
        (
            {"architecture": "fully_connected", "input_shape": (9,), "hidden": (5,), "principal": 3, "dropout": 0.5},
            ["network.relu1", "network.fc2"],
        ),
        (
            {"architecture": "cifar_resnet18", "input_shape": (3, 32, 32)},
            ["relu", *(f"layer{stage}.{block}" for stage in (1, 2, 3, 4) for block in (0, 1)), "fc"],
        ),
    ],
)
def test_layers_end_with_activations_blocks_and_logits(settings, names):
    network = build(classes=10, **settings)
    assert activation_layers(network) == names
    with torch.no_grad():
        points = layer_points(network, torch.rand(2, 1, *settings["input_shape"]), layers=names, features=8)
    assert list(points) == ["input", *names]


def test_networks_without_layers_are_refused():
    with pytest.raises(ValueError, match="several layers, found a Flatten"):
        activation_layers(nn.Flatten())
    assert activation_layers(nn.Linear(3, 2)) == ["Linear"]
    assert list(layer_points(nn.Linear(3, 2), torch.rand(2, 4, 3), layers=["Linear"])) == ["input", "Linear"]


def test_what_the_theory_does_not_treat_has_a_reason():
    found = analyse(torch.zeros(5, 12, 4), trials=8)
    assert (found.geometry, found.simulated) == (None, None)
    assert found.status == "expected centres that differ from their mean, found one that is the mean"
    # Two classes are no population of manifolds, which leaves the other kinds as they are.
    pair = analyse(torch.randn(2, 12, 4, generator=torch.Generator().manual_seed(0)))
    assert (pair.geometry, pair.status.rpartition("found ")[2]) == (None, "2")


def test_dichotomies_that_nothing_separates_count_as_such():
    generator = np.random.default_rng(0)
    points = generator.standard_normal((8, 4))
    labels = [np.isin(np.arange(8), chosen) * 2 - 1.0 for chosen in combinations(range(8), 4)]
    share = 1 - np.mean([_separated(points, y) for y in labels])
    assert 0.1 < share < 0.4
    found = simulated_capacity(torch.from_numpy(points)[:, :, None], trials=200)
    # Four standard errors.
    error = np.sqrt(share * (1 - share) / 200)
    assert np.mean(found.features == 5) == pytest.approx(share, abs=4 * error)
    assert found.features.max() == 5
    # Two equal manifolds have unequal labels in 4 of 7 balanced dichotomies.
    points = generator.standard_normal((8, 40, 3))
    points[1] = points[0]
    with pytest.raises(UnsuitedManifoldsError, match="most of whose dichotomies are separable"):
        simulated_capacity(torch.from_numpy(points), trials=200)


def _separated(x, y):
    """Whether y (w x + b) >= 1 has a solution."""
    rows = -y[:, None] * np.column_stack([x, np.ones(len(x))])
    return optimize.linprog(np.zeros(rows.shape[1]), rows, -np.ones(len(x)), bounds=(None, None)).status == 0


@pytest.fixture
def drawn(monkeypatch):
    kept = []

    def keep(figure, outputs):
        figure.canvas.draw()
        kept.append(figure)

    for module in (manifold_layers, manifold_capacity):
        monkeypatch.setattr(module, "save", keep)
    return kept


def test_lines_over_layers_show_what_files_hold(measured, drawn):
    kinds = ["uniform", "adversarial"]
    names = ["standard", "normal"]
    manifold_layers.draw(manifolds=measured, names=names, kinds=kinds, outputs=["a.png"], style="paper")
    panels = np.array(drawn[0].axes).reshape(4, 2)
    for path, place in zip(measured, (0, 1), strict=True):
        with reading(path) as file:
            for column, kind in enumerate(kinds):
                for row, name in enumerate(("capacity", "radius", "dimension", "center_correlation")):
                    line = panels[row, column].containers[place][0]
                    np.testing.assert_array_equal(line.get_ydata(), file.read(f"{kind}/{name}/value"))
    assert {text.get_text() for text in panels[0, 0].texts} == {"4 features and 6 points"}
    assert panels[0, 1].get_title().endswith("n = 10 manifolds")
    assert [text.get_text() for text in panels[3, 0].get_xticklabels()] == LAYERS


def test_capacities_are_drawn_beside_each_other(measured, drawn):
    manifold_capacity.draw(manifolds=measured, names=["standard", "normal"], outputs=["a.png"], style="paper")
    axes = drawn[0].axes[0]
    with reading(measured[1]) as file:
        theory, simulated = (file.read(f"adversarial/{name}/value") for name in ("capacity", "simulated"))
    known = np.isfinite(theory) & np.isfinite(simulated)
    line = axes.containers[1][0]
    np.testing.assert_array_equal(line.get_xdata(), simulated[known])
    np.testing.assert_array_equal(line.get_ydata(), theory[known])
    ends = axes.lines[-1].get_xydata()
    assert ends[0, 0] == ends[0, 1]


def test_networks_of_other_layers_are_not_drawn_together(stored, measured, tmp_path):
    data, model, _ = stored
    output = str(tmp_path / "other.h5")
    measure(data=data, model=model, output=output, layers=["relu1"], **SETTINGS)
    with pytest.raises(StoreError, match="networks of the same layers"):
        manifold_capacity.draw(manifolds=[measured[0], output], names=["a", "b"], outputs=["a.png"], style="paper")


def test_capacities_of_points_and_balls_agree(tmp_path):
    path = tmp_path / "capacities.h5"
    settings = {"n_t": 4000, "points": 30, "trials": 20, "confidence": 0.95, "seed": 3, "provenance": Provenance()}
    measure_capacities(output=str(path), radii=[0.0, 2.0], dimensions=[2, 5], **settings)
    with reading(path) as file:
        exact, printed, sampled, error = (
            file.read(f"balls/{name}", ("radius", "dimension"))
            for name in ("exact", "printed", "sampled", "sampled_error")
        )
        assert (
            file.read("points/simulated/low")
            <= file.read("points/simulated/value")
            <= file.read("points/simulated/high")
        )
        assert abs(file.read("points/sampled") - point_capacity()) < 4 * file.read("points/sampled_error")
    assert exact[0] == pytest.approx(point_capacity())
    assert exact[1] == pytest.approx([ball_capacity(2.0, dimension) for dimension in (2, 5)])
    assert (np.abs(sampled - exact) < 4 * error).all()
    # The printed formula, by quadrature: 1 / int Dt (R sqrt(D) - t)^2 / (1 + R^2) up to R sqrt(D).
    reach = 2.0 * np.sqrt(2)
    value, _ = integrate.quad(lambda t: stats.norm.pdf(t) * (reach - t) ** 2 / 5, -12, reach)
    assert printed[1, 0] == pytest.approx(1 / value)
