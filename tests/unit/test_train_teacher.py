"""Teachers of the studies of logits: what is stored, and runs that are killed."""

import json
import multiprocessing
import os
import signal
import time
from contextlib import suppress

import numpy as np
import pytest
import torch

from neighborhoods.networks.architectures import restore
from neighborhoods.training.minibatch import accuracy
from neighborhoods.training.schedules import kept_rows
from pipeline.results.shared import put_split, read_network, read_split
from pipeline.store import Provenance, reading, writing
from scripts.logits.train_teacher import train_teacher

pytestmark = pytest.mark.usefixtures("one_thread")

ATTACK = {"epsilon": 0.1, "step_size": 0.04, "steps": 3, "batch_norm": "eval"}
SETTINGS = {
    "network": {"architecture": "strided_cnn", "channels": 4},
    "training": {"epochs": 9, "batch_size": 16, "learning_rate": 0.02, "weight_decay": 2e-4, "drops": [7], "crop": 1},
    "adversarial": ATTACK,
    "warm_up": 2,
    "checkpoints": [1, 4, 9],
    "validation": 4,
    "validation_seed": 5,
    "seed": 2**62 + 1,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """240 images of three classes, told apart by their bright columns, and 60 for tests."""
    path, generator = tmp_path_factory.mktemp("data") / "columns.h5", np.random.default_rng(0)
    with writing(path, Provenance()) as file:
        for split, n in (("train", 240), ("test", 60)):
            y = np.arange(n) % 3
            x = generator.integers(0, 100, (n, 1, 12, 12), np.uint8)
            for column in range(4):
                x[np.arange(n), 0, :, 4 * y + column] += 70
            put_split(file, split, x, y, generator)
        file.put("classes", ["left", "middle", "right"], "name of each class", ("class",))
    return str(path)


def job(data, output):
    train_teacher(data=data, output=str(output), provenance=Provenance({"seed": SETTINGS["seed"]}), **SETTINGS)


def quietly(data, output):
    torch.set_num_threads(1)
    job(data, output)


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    output = tmp_path_factory.mktemp("undisturbed") / "adversarial-s0.h5"
    job(data, output)
    return output


def test_a_teacher_is_stored_with_its_checkpoints_and_history(data, undisturbed):
    assert os.listdir(undisturbed.parent) == [undisturbed.name]
    stored, test = read_network(undisturbed), read_split(data, "test")
    x, y = torch.from_numpy(test.images).float() / 255, torch.from_numpy(test.labels)
    with reading(undisturbed) as file:
        history = {name: file.read(f"history/{name}", ("epoch",)) for name in file.names("history")}
        checkpoints = {epoch: file.read_group(f"checkpoints/{epoch:03d}") for epoch in (1, 4, 9)}
        low, high = json.loads(file.attribute("test_accuracy_interval"))
        assert low < file.attribute("test_accuracy") < high or history["test_accuracy"][-1] in (0, 1)
        assert file.attribute("test_accuracy") == history["test_accuracy"][-1]
    assert set(history) == {"loss", "train_accuracy", "validation_accuracy", "test_accuracy", "learning_rate"}
    assert history["learning_rate"] == pytest.approx([0.02] * 6 + [0.002] * 3)
    for epoch, weights in checkpoints.items():
        assert accuracy(restore(stored.settings, weights), x, y) == history["test_accuracy"][epoch - 1]
    assert all(np.array_equal(checkpoints[9][name], array) for name, array in stored.weights.items())


def test_validation_images_are_those_that_training_leaves_out(data, undisturbed):
    train, stored = read_split(data, "train"), read_network(undisturbed)
    apart = np.setdiff1d(np.arange(240), kept_rows(train.labels, 4, 5))
    assert len(apart) == 12
    x, y = torch.from_numpy(train.images[apart]).float() / 255, torch.from_numpy(train.labels[apart])
    with reading(undisturbed) as file:
        assert file.read("history/validation_accuracy")[-1] == accuracy(restore(stored.settings, stored.weights), x, y)


def test_runs_killed_in_the_middle_of_epochs_end_in_the_same_bytes(data, undisturbed, tmp_path):
    """Processes of a server that has imported everything once: each is a whole run, which SIGKILL ends."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.unit.test_train_teacher"])
    output, moments, kills = tmp_path / undisturbed.name, np.random.default_rng(), 0
    stood: set[int] = set()

    def last_change():
        changes = [0]
        for path in tmp_path.glob(".*.state"):
            with suppress(FileNotFoundError):  # The run takes back what no state names.
                changes.append(path.stat().st_mtime_ns)
        return max(changes)

    while kills < 4:
        if output.exists():  # Of a run that was faster than its killer, who may have met it as it tidied up.
            for path in (output, *tmp_path.glob(".*.state")):
                path.unlink()
        before = last_change()
        run = context.Process(target=quietly, args=(data, output))
        run.start()
        while run.is_alive() and last_change() <= before:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.1))
        if run.is_alive():
            os.kill(run.pid, signal.SIGKILL)
        run.join()
        if run.exitcode == -signal.SIGKILL and not output.exists():
            assert last_change() > before
            stood.add(last_change())
            kills += 1
    run = context.Process(target=quietly, args=(data, output))
    run.start()
    run.join()
    assert run.exitcode == 0
    assert len(stood) == 4
    assert output.read_bytes() == undisturbed.read_bytes()
    assert os.listdir(tmp_path) == [output.name]


def test_standard_training_meets_no_attack(data, tmp_path):
    settings = {**SETTINGS, "adversarial": None, "validation": 0, "training": {**SETTINGS["training"], "epochs": 4}}
    settings["checkpoints"] = []
    output = tmp_path / "standard-s0.h5"
    train_teacher(data=data, output=str(output), provenance=Provenance(), **settings)
    with reading(output) as file:
        assert "validation_accuracy" not in file.names("history")
        assert "checkpoints" not in file
        assert file.attribute("test_accuracy") == 1.0
