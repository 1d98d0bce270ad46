"""What the scripts of the analytic model of logits write, draw and tabulate."""

import csv
import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from neighborhoods.logits.model import surrogates
from neighborhoods.logits.response import ridge, spectrum, unit_length
from neighborhoods.networks.architectures import fully_connected, weights_of
from pipeline.results.logit_model import PREDICTIONS
from pipeline.results.shared import put_network, put_split
from pipeline.store import Provenance, StoreError, reading, writing
from scripts.figures import gap_response, loss_surface, surrogate_logits
from scripts.logit_model.evaluate import evaluate
from scripts.logit_model.respond import respond
from scripts.tables.logit_model import tabulate

pytestmark = pytest.mark.usefixtures("one_thread")

SIDE, CLASSES, IMAGES = 4, 5, 90
BETAS = [2.0, 2.5, 3.5, 6.0]
REACHES = [1.0, 5.0]


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("model") / "model.h5")
    settings = {"classes": 10, "beta_max": 10.0, "points": 60, "error": 0.05, "epsilon": 0.1}
    evaluate(output=path, table_betas=BETAS, reaches=REACHES, provenance=Provenance(), **settings)
    return path


def stored_network(folder, wrong=8):
    """A random network with logits spread out, its own classes as labels but for some; paths of data and network."""
    torch.manual_seed(0)
    network = fully_connected((1, SIDE, SIDE), (12,), CLASSES)
    images = np.random.default_rng(0).random((IMAGES, 1, SIDE, SIDE)).astype(np.float32)
    with torch.no_grad():
        network.fc2.weight *= 60
        network.fc2.bias -= network(torch.from_numpy(images)).mean(0) - 8
        labels = network(torch.from_numpy(images)).argmax(1).numpy()
    labels[:wrong] = (labels[:wrong] + 1) % CLASSES
    data, model = str(folder / "data.h5"), str(folder / "network.h5")
    with writing(data, Provenance()) as file:
        file.put("classes", list("abcde"), "names", ("class",))
        for split in ("train", "test"):
            put_split(file, split, images, labels, np.random.default_rng(0))
    settings = {"architecture": "fully_connected", "hidden": [12], "classes": CLASSES, "input_shape": [1, SIDE, SIDE]}
    with writing(model, Provenance()) as file:
        put_network(file, settings, weights_of(network), 0.9, (0.8, 1.0), IMAGES)
    return data, model


@pytest.fixture(scope="module")
def response_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("response")
    data, model = stored_network(folder)
    path = str(folder / "response.h5")
    settings = {"train_images": 80, "images": 40, "epsilon": 0.05, "bound": 1.0, "confidence": 0.9, "batch_size": 16}
    respond(data=data, model=model, output=path, seed=0, provenance=Provenance(), **settings)
    return path, data, model


def test_surfaces_are_empty_where_there_is_no_solution(model_file):
    with reading(model_file) as file:
        beta = file.read("beta")
        printed, derived = (np.isfinite(file.read(f"{name}/surface/loss")) for name in ("printed", "derived"))
        # Errata: nothing derived above ln(2 (N - 1)) = 2.89.
        assert np.array_equal(derived.any(1), beta <= math.log(18))
        assert np.array_equal(derived.any(0), beta > math.log(9))
        assert printed[-1].any()
        assert file.read("derived/plus/correct/admissible")[0, 1] == pytest.approx(math.log(18), abs=1e-9)
        assert file.read("derived/plus/level/admissible").shape == (0, 2)
        assert file.read("printed/g_above_psi")[-1, 1] == pytest.approx(3.523, abs=5e-4)
        assert set(file.read("printed/plus/wrong/kind")) == {-9}
        # The corrected term makes the gap shrink more.
        change, complete = (file.read(f"printed/surface/{name}") for name in ("equation_10", "equation_10_complete"))
        assert (complete <= change)[printed].all()
        loss, reaches = file.read("minimum/wrong/loss"), file.read("minimum/reach")
        expected = np.log(2 + 8 * np.exp(-reaches - np.array(BETAS)[:, None]))
        np.testing.assert_allclose(loss, expected, rtol=1e-8)
        assert (file.read("minimum/wrong/gradient") > 0.49).all()


def test_responses_are_those_of_a_direct_calculation(response_file):
    path, data, model = response_file
    with reading(data) as file:
        images, labels, order = (file.read(name) for name in ("x_train", "y_train", "order_train"))
    with reading(model) as file:
        weights = {name: torch.from_numpy(array) for name, array in file.read_group("weights").items()}
    network = fully_connected((1, SIDE, SIDE), (12,), CLASSES)
    network.load_state_dict(weights)
    with reading(path) as file:
        index, own = file.read("index"), file.read("label")
        assert np.isin(index, order[:80]).all()
        x = torch.from_numpy(images[index]).requires_grad_(True)
        logits = network(x)
        assert np.array_equal(logits.argmax(1).numpy(), labels[index])
        assert np.array_equal(own, labels[index])
        (eta,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits.double(), torch.from_numpy(own)), x)
        step = 0.05 * eta / eta.flatten(1).norm(dim=1)[:, None, None, None]
        finite = (network(x + step) - logits).detach().numpy()
        np.testing.assert_allclose(file.read("response/finite"), finite, atol=2e-4)
        top = logits.detach().topk(2, dim=1).values
        np.testing.assert_allclose(file.read("gap"), (top[:, 0] - top[:, 1]).numpy(), rtol=1e-4, atol=1e-5)
        # The loss rises, so that gaps to first order shrink nearly always; a hidden layer of ReLUs may bend some.
        assert (file.read("change/finite") < 0).mean() > 0.9
        for name in PREDICTIONS:
            assert np.abs(file.read(f"prediction/{name}/cosine")).max() <= 1 + 1e-12
            assert 0 <= float(file.read(f"prediction/{name}/gap_sign/low")) <= 1
        # On the network's own logits, with the stored lambda.
        value, weight = float(file.read("model/logits/multiplier")), file.read("model/logits/omega")
        with torch.no_grad():
            targets = network(torch.from_numpy(images[order[:80]])).double()
        kept = surrogates(targets, torch.from_numpy(labels[order[:80]]))[1]
        assert int(file.read("model/dropped")) == int((~kept).sum()) < 80
        rows, _ = unit_length(torch.from_numpy(images[order[:80]])[kept])
        expected = ridge(spectrum(rows), targets[kept], value)
        np.testing.assert_allclose(weight, expected.weights(), rtol=1e-5)
        assert float(expected.omega().square().sum()) == pytest.approx(SIDE**2 * CLASSES, rel=1e-5)
        assert (weight >= 0).all()
        printed, corrected = (file.read(f"jacobian/{part}", ("difference",)) for part in ("printed", "corrected"))
        assert len(printed) == 20
        assert corrected.max() < 1e-5 < 1e-2 < printed.min()


def test_a_network_that_is_never_right_is_named(tmp_path):
    data, model = stored_network(tmp_path, wrong=IMAGES)
    settings = {"train_images": 80, "images": 40, "epsilon": 0.05, "bound": 1.0, "confidence": 0.9, "batch_size": 16}
    with pytest.raises(StoreError, match="4 correctly classified"):
        respond(data=data, model=model, output=str(tmp_path / "o.h5"), seed=0, provenance=Provenance(), **settings)


def test_figures_are_one_column_wide(model_file, response_file, tmp_path):
    figures = {
        "logits": (surrogate_logits.draw, {}),
        "loss": (loss_surface.draw, {}),
        "gap": (gap_response.draw, {"responses": [response_file[0]], "names": ["net"]}),
        "bare": (gap_response.draw, {"responses": [], "names": []}),
    }
    for name, (draw, more) in figures.items():
        path = str(tmp_path / f"{name}.png")
        draw(model=model_file, outputs=[path], style="paper", **more)
        # 3.5 inches at 300 dots an inch.
        assert plt.imread(path).shape[1] == 1050


def test_the_table_says_where_print_and_derivation_differ(model_file, response_file, tmp_path):
    output = str(tmp_path / "table.csv")
    tabulate(model=model_file, responses=[response_file[0]], names=["net"], output=output)
    with open(output, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = {(row["part"], row["quantity"], row["beta"], row["network"]): row for row in rows}
    f = found["correct, root +", "f", "2.5", ""]
    total = 9 * math.exp(-2.5)
    expected = (1 + total) / (1 - total) * (-1 + math.sqrt(2 * total - 1))
    assert float(f["derived"]) == pytest.approx(expected, rel=1e-10)
    assert abs(float(f["printed"])) < 0.01
    assert found["correct, root +", "f", "6.0", ""]["derived"] == "nan"
    assert found["wrong, root +", "stationary point of equation 3", "3.5", ""]["derived"] == "maximum"
    assert found["wrong, root +", "stationary point of equation 3", "3.5", ""]["printed"] == "none"
    assert found["wrong, psi = 0, root +", "range of beta allowed", "", ""]["derived"] == "none"
    power = found["measured, finite change of the gap", "power: exponent", "", "net"]
    assert float(power["measured_low"]) < float(power["measured"]) < float(power["measured_high"])
    assert float(found["equation 8", "cosine with the linear change of the logits", "", "net"]["n"]) == 40


@pytest.mark.parametrize("classes", [3, 100])
def test_other_numbers_of_classes_are_drawn(classes, tmp_path):
    path = str(tmp_path / "model.h5")
    settings = {"classes": classes, "beta_max": 8.0, "points": 30, "error": 0.2, "epsilon": 0.1}
    evaluate(output=path, table_betas=[1.0], reaches=[2.0], provenance=Provenance(), **settings)
    surrogate_logits.draw(model=path, outputs=[str(tmp_path / "a.png")], style="paper")
    with reading(path) as file:
        assert file.read("derived/plus/correct/admissible")[0, 1] == pytest.approx(math.log(2 * (classes - 1)))


def test_a_plane_without_any_allowed_logits_is_named(tmp_path):
    path = str(tmp_path / "model.h5")
    settings = {"classes": 10, "beta_max": 2.0, "points": 30, "error": 0.2, "epsilon": 0.1}
    evaluate(output=path, table_betas=[1.0], reaches=[2.0], provenance=Provenance(), **settings)
    with pytest.raises(StoreError, match="no logits of the model are allowed"):
        loss_surface.draw(model=path, outputs=[str(tmp_path / "a.png")], style="paper")
