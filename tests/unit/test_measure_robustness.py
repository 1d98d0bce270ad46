"""The script that measures accuracies under attack: what it writes of networks and of checkpoints, on tiny images."""

import numpy as np
import pytest
import torch
from scipy import stats

from neighborhoods.networks import architectures as networks
from neighborhoods.training.minibatch import train
from pipeline.results.shared import put_network, put_split, read_checkpoint, read_network
from pipeline.store import Provenance, StoreError, reading, writing
from scripts.logits.measure_robustness import measure_robustness

pytestmark = pytest.mark.usefixtures("one_thread")
SETTINGS = {"input_shape": [1, 3, 3], "classes": 4, "architecture": "fully_connected", "hidden": [12]}
ATTACK = {"images": 40, "epsilon": 0.1, "steps": 15, "restarts": 2, "batch_size": 16, "pgd_steps": 5, "confidence": 0.9,
          "seed": 3, "provenance": Provenance()}  # fmt: skip


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    """Images whose brightest corner is their class, and two networks with a checkpoint each."""
    folder = tmp_path_factory.mktemp("robustness")
    generator = np.random.default_rng(0)
    images = generator.random((200, 1, 3, 3)).astype(np.float32)
    labels = images[:, 0, ::2, ::2].reshape(200, 4).argmax(1)
    data = str(folder / "data.h5")
    with writing(data, Provenance()) as file:
        file.put("classes", list("abcd"), "names", ("class",))
        for split, part in (("train", slice(0, 120)), ("test", slice(120, 200))):
            put_split(file, split, images[part], labels[part], generator)
    paths = []
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    for seed in (5, 6):
        torch.manual_seed(seed)
        network = networks.build(**SETTINGS)
        early = networks.weights_of(network)
        train(network, x[:120], y[:120], x[120:], y[120:], epochs=60, learning_rate=0.02, batch_size=20, seed=seed)
        paths.append(str(folder / f"{seed}.h5"))
        with writing(paths[-1], Provenance()) as file:
            put_network(file, SETTINGS, networks.weights_of(network), 0.5, (0.0, 1.0), 80)
            for name, array in early.items():
                file.put(f"checkpoints/002/{name}", array, "early", [f"axis{i}" for i in range(array.ndim)])
    return data, paths, str(folder / "out.h5")


@pytest.fixture(scope="module")
def stored(cell):
    data, paths, output = cell
    measure_robustness(data=data, networks=paths, output=output, seeds=[5, 6], check_images=6, **ATTACK)
    with reading(output) as file:
        return {name: file.read(name) for name in file.names()}


def test_accuracies_follow_from_the_stored_logits(cell, stored):
    label, broken_by = stored["label"], stored["broken_by"]
    natural = stored["logits"].argmax(2) == label
    adversarial = natural & (stored["adversarial_logits"].argmax(2) == label)
    assert np.array_equal(natural, broken_by != -1)
    assert np.array_equal(adversarial, broken_by == 0)
    assert 0.1 < adversarial.mean() < natural.mean() - 0.1
    for name, right in (("natural", natural), ("adversarial", adversarial)):
        assert stored[f"{name}/measured"] == pytest.approx(right.mean(1))
        interval = stats.binomtest(int(right[1].sum()), 40).proportion_ci(0.9, "exact")
        assert (stored[f"{name}/low"][1], stored[f"{name}/high"][1]) == pytest.approx((interval.low, interval.high))
        assert (stored[f"{name}/n"], stored[f"{name}/seeds"]) == (40, 2)
        assert stored[f"{name}/mean_low"] <= stored[f"{name}/mean"] <= stored[f"{name}/mean_high"]
    assert stored["pgd/mean"] >= stored["adversarial/mean"] - 1 / 40
    assert stored["seeds"].tolist() == [5, 6]
    assert stored["attacks"].tolist() == ["apgd-ce", "apgd-dlr"]


def test_images_are_the_first_of_the_test_splits_order(cell, stored):
    with reading(cell[0]) as file:
        assert np.array_equal(stored["index"], file.read("order_test")[:40])
        assert np.array_equal(stored["label"], file.read("y_test")[stored["index"]])
        x = torch.from_numpy(file.read("x_test")[stored["index"]])
    found = read_network(cell[1][1])
    logits = networks.restore(found.settings, found.weights)(x)
    assert stored["logits"][1] == pytest.approx(logits.numpy(), abs=1e-4)


def test_the_check_is_of_the_first_network(stored):
    assert np.array_equal(stored["check/apgd/correct"], stored["broken_by"][0, :6] == 0)
    for name in ("apgd", "autoattack", "odi"):
        assert stored[f"check/{name}/measured"] == pytest.approx([stored[f"check/{name}/correct"].mean()])
        assert stored[f"check/{name}/n"] == 6
        assert np.isnan(stored[f"check/{name}/mean_low"])


def test_checkpoints_are_measured_in_the_same_way(cell, tmp_path):
    data, paths, _ = cell
    output = str(tmp_path / "early.h5")
    measure_robustness(data=data, networks=paths, output=output, seeds=[5, 6], epoch=2, check_images=0, **ATTACK)
    with reading(output) as file:
        early = file.read("logits")
        assert not any(name.startswith("check/") for name in file.names())
    torch.manual_seed(6)
    expected = networks.build(**SETTINGS)
    with reading(data) as file:
        x = torch.from_numpy(file.read("x_test")[file.read("order_test")[:40]])
    assert early[1] == pytest.approx(expected(x).detach().numpy(), abs=1e-5)


def test_a_missing_checkpoint_is_named(cell):
    with pytest.raises(StoreError, match=r"checkpoint of epoch 3, found 2$"):
        read_checkpoint(cell[1][0], 3)
    with pytest.raises(StoreError, match=r"checkpoint of epoch 3, found none$"):
        read_checkpoint(cell[0], 3)
    assert read_checkpoint(cell[1][0]).weights.keys() == read_checkpoint(cell[1][0], 2).weights.keys()
