"""The comparison of networks, and both scripts of these stages with their figures on a small problem."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch import nn

from neighborhoods.boundary.normals import skewness
from neighborhoods.boundary.zoo import measures, right_for_all, robustness
from pipeline.figures import style
from pipeline.results.shared import put_split
from pipeline.store import Provenance, StoreError, reading, writing
from scripts.attack.generate import generate
from scripts.boundary.compare_networks import compare
from scripts.boundary.trace_dropout import trace
from scripts.figures import dropout_crossings, zoo
from scripts.train.train import train_network

COMMON = {"seed": 3, "provenance": Provenance()}
NETWORKS = {
    "plain": ({}, {}),
    "pca": ({"principal": 4}, {}),
    "dropout": ({"dropout": 0.4}, {}),
    "adversarial": ({}, {"adversarial": {"epsilon": 0.05, "step_size": 0.05, "steps": 2}}),
    "snnl": ({}, {"soft_nearest_neighbor": {"weight": -0.1, "temperature": 1.0}}),
}


pytestmark = pytest.mark.usefixtures("one_thread")


def half_space(pixels=9):
    """A linear network whose boundary passes through mid grey."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 2))
    with torch.no_grad():
        model[1].bias.copy_(-model[1].weight.sum(1) / 2)
    return model.requires_grad_(False)


def test_a_linear_network_has_closed_forms():
    model = half_space()
    w, b = model[1].weight[1] - model[1].weight[0], model[1].bias[1] - model[1].bias[0]
    # Near mid grey, so that the box bounds nothing.
    x = 0.5 + 0.05 * torch.randn(60, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    margin = x.flatten(1) @ w + b
    far = (margin.abs() > 0.01 * w.norm()).nonzero()[:30, 0]
    x, margin = x[far], margin[far]
    label = (margin > 0).long()
    found = robustness(model, x, label, epsilon=0.2, step_size=0.05, steps=4, samples=500)
    distance = (margin.abs() / w.norm()).double().numpy()
    # The point returned lies up to 32 roundings of the image's norm of 1.5 beyond the boundary.
    assert found.distance == pytest.approx(distance, abs=32 * 1.5 * 1.2e-7)
    # DeepFool oversteps the boundary by its share of 2 %, and foolbox lengthens its step by 1e-4.
    assert found.attack_size == pytest.approx(1.02 * (distance + 1e-4), abs=1e-5)
    assert found.attacked.all()
    # Signs of one gradient: every line has the direction sign(w).
    slant = math.degrees(math.acos(float(w.abs().sum() / (w.norm() * math.sqrt(9)))))
    assert found.skewness == pytest.approx(np.full(30, slant), abs=0.05)
    # A flat boundary: sigma* = d / 0.524, with a relative standard error of at most 11 % for 500 samples.
    ratio = found.persistence.sigma.numpy() / distance
    assert ratio.mean() == pytest.approx(1.907, rel=4 * 0.11 / math.sqrt(30))
    assert list(measures(found)) == ["attack_size", "distance", "skewness", "persistence"]


def test_skewness_is_the_angle_to_the_normal():
    model = half_space(2)
    w = (model[1].weight[1] - model[1].weight[0]).double()
    normal, along = w / w.norm(), torch.stack([-w[1], w[0]]) / w.norm()
    angles = torch.tensor([0.0, 20.0, 60.0, 85.0], dtype=torch.float64)
    turn = torch.deg2rad(angles)[:, None]
    start = 0.5 - 0.1 * normal.expand(4, 2)
    end = start + 0.2 / turn.cos() * (turn.cos() * normal + turn.sin() * along)
    assert skewness(model.double(), start, end).angle.numpy() == pytest.approx(angles.numpy(), abs=1e-5)
    # Either end may be the first.
    assert skewness(model, end, start).angle.numpy() == pytest.approx(angles.numpy(), abs=1e-5)
    assert skewness(model, start, start).angle.isnan().all(), "no class changes"


def test_an_attack_that_fails_has_no_skewness():
    model = half_space()
    x = torch.full((4, 1, 3, 3), 0.5) + 0.4 * (model[1].weight[1] - model[1].weight[0]).sign().reshape(1, 1, 3, 3)
    found = robustness(model, x, torch.ones(4, dtype=torch.int64), epsilon=0.01, step_size=0.01, steps=1, samples=50)
    assert not found.attacked.any()
    assert np.isnan(found.skewness).all()


def test_images_must_be_right():
    model = half_space()
    x = torch.rand(6, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    label = model(x).argmax(1)
    label[2] = 1 - label[2]
    assert right_for_all([model, model], x, label, 4).tolist() == [0, 1, 3, 4]
    with pytest.raises(ValueError, match="found 1 of 6"):
        robustness(model, x, label, epsilon=0.1, step_size=0.1, steps=1)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Data with a bright bar for each class, its networks, an attack, and what is measured."""
    folder = tmp_path_factory.mktemp("zoo")
    found = {name: str(folder / f"{name}.h5") for name in ("data", "attack", "trace", "compared", *NETWORKS)}
    generator = np.random.default_rng(0)
    with writing(found["data"], Provenance()) as file:
        for split in ("train", "test"):
            labels = np.arange(60) % 3
            x = generator.integers(0, 140, (60, 1, 3, 3), dtype=np.uint8)
            for label in range(3):
                x[labels == label, :, label] += 60
            put_split(file, split, x, labels, generator)
        file.put("classes", ["a", "b", "c"], "names", ("class",))
    for name, (network, training) in NETWORKS.items():
        settings = {"architecture": "fully_connected", "hidden": [8]} | network
        rest = {"epochs": 20, "learning_rate": 0.02, "batch_size": 20} | training
        train_network(data=found["data"], output=found[name], network=settings, training=rest, **COMMON)
    attack = {"method": "igsm", "targets": "none", "images": 8, "classes": [], "batch_size": 64}
    steps = {"epsilon": 0.5, "step_size": 0.1, "steps": 8}
    generate(data=found["data"], model=found["dropout"], output=found["attack"], settings=steps, **attack, **COMMON)
    measure(found, found["trace"], found["compared"])
    return found


def measure(found, traced, compared):
    trace(data=found["data"], model=found["dropout"], attack=found["attack"], output=traced, lines=3, masks=30,
          points=17, batch_size=100, confidence=0.95, line_seed=4, **COMMON)  # fmt: skip
    compare(data=found["data"], models=[found[name] for name in NETWORKS], output=compared, networks=list(NETWORKS),
            reference="plain", images=10, epsilon=0.4, step_size=0.1, steps=6, confidence=0.95, gamma=0.7, samples=50,
            **COMMON)  # fmt: skip


def test_results_hold_what_they_say(files):
    with reading(files["compared"]) as file:
        index = file.read("index")
        for name in NETWORKS:
            difference = file.read(f"{name}/distance") - file.read("plain/distance")
            assert float(file.read(f"{name}/difference/distance/mean")) == pytest.approx(difference.mean())
            assert file.read(f"{name}/interval/index").tolist() == index.tolist()
            low, share, high = (float(file.read(f"{name}/success/{part}")) for part in ("low", "value", "high"))
            assert low <= share <= high
    with reading(files["trace"]) as file:
        for group in ("natural", "adversarial"):
            classes = file.read(f"{group}/classes", ("line", "mask", "point"))
            assert classes.shape[1:] == (30, 17)
            changes = (np.diff(classes, axis=2) != 0).sum()
            assert changes == len(file.read(f"{group}/place"))
            plain = file.read(f"{group}/plain")
            assert (plain[:, 0] != plain[:, -1]).all()
            assert file.read(f"{group}/normality/all/n").sum() == changes


def test_equal_settings_give_equal_bytes(files, tmp_path):
    measure(files, str(tmp_path / "trace.h5"), str(tmp_path / "compared.h5"))
    for name in ("trace", "compared"):
        assert (tmp_path / f"{name}.h5").read_bytes() == open(files[name], "rb").read()


def test_an_adversarially_trained_network_is_no_other_network(files):
    with reading(files["adversarial"]) as file, reading(files["plain"]) as other:
        assert not np.array_equal(file.read("weights/fc1.weight"), other.read("weights/fc1.weight"))
    with reading(files["pca"]) as file:
        assert file.read("weights/principal.directions").shape == (4, 9)


def test_figures_draw_what_is_there(files, tmp_path, monkeypatch):
    kept = []
    save = style.save

    def keep(picture, outputs):
        save(picture, outputs)
        kept.append("\n".join(text.get_text() for text in picture.findobj(plt.Text)))

    for module in (zoo, dropout_crossings):
        monkeypatch.setattr(module, "save", keep)
    zoo.draw(zoo=files["compared"], outputs=[str(tmp_path / "zoo.png")], style="paper")
    dropout_crossings.draw(dropout=files["trace"], outputs=[str(tmp_path / "d.png")], style="paper", pair=1)
    assert "paired difference to plain, n = 10 images" in kept[0]
    with reading(files["compared"]) as file:
        value = float(file.read("pca/correlation/value"))
    assert f"pca {value:.2f} [" in kept[0]
    assert "Shapiro p" in kept[1]
    with pytest.raises(StoreError, match="holds 3 natural lines, there is no line 5"):
        dropout_crossings.draw(dropout=files["trace"], outputs=[str(tmp_path / "e.png")], style="paper", pair=5)


def test_too_few_common_images_are_said(files, tmp_path):
    with pytest.raises(StoreError, match="expected 4 images that all networks classify right, found 2"):
        compare(data=files["data"], models=[files["plain"]], output=str(tmp_path / "x.h5"), networks=["plain"],
                reference="plain", images=2, epsilon=0.1, step_size=0.1, steps=1, confidence=0.95, **COMMON)  # fmt: skip
