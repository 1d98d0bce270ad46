"""From a teacher's checkpoint over averaged targets to students, on images of three classes."""

import numpy as np
import pytest
import torch

from neighborhoods.networks.architectures import restore
from pipeline.results.shared import put_split, read_checkpoint, read_network
from pipeline.running.resume import Progress
from pipeline.store import Provenance, StoreError, reading, writing
from scripts.logits.average_targets import average_targets
from scripts.logits.distil import distil_student
from scripts.logits.train_teacher import train_teacher

pytestmark = pytest.mark.usefixtures("one_thread")

SIDE, CLASSES, TRAIN = 6, 3, 120
TRAINING = {"epochs": 4, "batch_size": 20, "learning_rate": 0.05, "weight_decay": 1e-4, "drops": [4]}
NETWORK = {"architecture": "fully_connected", "hidden": [16]}
COMMON = {"network": NETWORK, "training": TRAINING, "seed": 5, "provenance": Provenance({"seed": 5})}
NORMAL = {"loss": "l1", "temperature": 1.0, "keep": None, "rest": "permute", "correct": False}
KEPT = {"validation": 4, "validation_seed": 8}
DRAWS = {"batch_size": 16, "crop": 0, "flip": False, "draws": 5, "seed": 3, "provenance": Provenance()}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logits")
    paths = {name: str(folder / f"{name}.h5") for name in ("data", "teacher", "other", "targets", "order")}
    generator = np.random.default_rng(0)
    with writing(paths["data"], Provenance()) as file:
        file.put("classes", ["a", "b", "c"], "names", ("class",))
        for split, n in (("train", TRAIN), ("test", 60)):
            y = generator.integers(0, CLASSES, n)
            x = 0.5 * generator.random((n, 1, SIDE, SIDE))
            x[np.arange(n), 0, :, y] += 0.25
            put_split(file, split, x.astype(np.float32), y, generator)
    for name, seed, targets in (("teacher", 1, "targets"), ("other", 2, "order")):
        settings = {**COMMON, **KEPT, "adversarial": None, "warm_up": 0, "checkpoints": [1, 4], "seed": seed}
        train_teacher(data=paths["data"], output=paths[name], **settings)
        inputs = {"data": paths["data"], "teacher": paths[name], "output": paths[targets]}
        average_targets(**inputs, epoch=1, **KEPT, **DRAWS)
    return paths


def contents(path):
    with reading(path) as file:
        return {name: file.read(name) for name in file.names()}


def student(files, folder, **settings):
    output = folder / "student.h5"
    order = files["order"] if settings.pop("hybrid", False) else None
    inputs = {"data": files["data"], "targets": files["targets"], "order": order, "output": str(output)}
    distil_student(**inputs, **{**NORMAL, **COMMON, **settings})
    return contents(output)


def test_targets_are_the_logits_of_the_checkpoint_on_the_images_it_was_trained_on(files):
    targets, data = contents(files["targets"]), contents(files["data"])
    stored = read_checkpoint(files["teacher"], 1)
    index = targets["index"]
    assert len(index) == TRAIN - KEPT["validation"] * CLASSES
    with torch.no_grad():
        logits = restore(stored.settings, stored.weights)(torch.from_numpy(data["x_train"][index])).numpy()
    # Products of matrices of other heights may differ in the last bits.
    np.testing.assert_allclose(targets["logits"], logits, rtol=1e-5, atol=1e-6)
    assert not targets["deviation"].any()
    assert (targets["label"] == data["y_train"][index]).all()
    wrong = logits.argmax(1) != data["y_train"][index]
    assert 0 < wrong.sum() < len(wrong)
    assert targets["train_error/value"] == pytest.approx(wrong.mean())
    assert targets["train_error/low"] < wrong.mean() < targets["train_error/high"]
    with reading(files["targets"]) as file:
        assert (file.attribute("draws"), file.attribute("epoch")) == (1, 1)


def test_checkpoints_are_found_by_epoch(files):
    last = read_checkpoint(files["teacher"], 4)
    final = read_network(files["teacher"])
    assert last.settings == final.settings
    assert all(np.array_equal(last.weights[name], array) for name, array in final.weights.items())
    with pytest.raises(StoreError, match="expected a checkpoint of epoch 2, found 1, 4"):
        read_checkpoint(files["teacher"], 2)


def test_augmented_targets_vary_between_draws(files, tmp_path):
    inputs = {"data": files["data"], "teacher": files["teacher"], "output": str(tmp_path / "targets.h5")}
    average_targets(**inputs, epoch=4, **KEPT, **{**DRAWS, "crop": 1})
    targets = contents(tmp_path / "targets.h5")
    assert (targets["deviation"] > 0).all()
    with reading(tmp_path / "targets.h5") as file:
        assert file.attribute("draws") == DRAWS["draws"]


def test_a_student_learns_the_targets_and_notes_both_losses(files, tmp_path):
    for folder, loss in ((tmp_path / "l1", "l1"), (tmp_path / "kl", "kl")):
        found = student(files, folder, loss=loss)
        assert np.array_equal(found["target_logits"], contents(files["targets"])["logits"])
        assert np.array_equal(found["history/loss"], found[f"history/{loss}"])
        for name in ("l1", "kl", "train_accuracy", "validation_accuracy", "test_accuracy", "learning_rate"):
            assert found[f"history/{name}"].shape == (TRAINING["epochs"],)
        assert found[f"history/{loss}"][-1] < found[f"history/{loss}"][0]
        np.testing.assert_allclose(found["history/learning_rate"], [0.05, 0.05, 0.05, 0.005])


def test_students_of_manipulated_targets_see_them(files, tmp_path):
    logits = contents(files["targets"])["logits"]
    label = contents(files["targets"])["label"]
    rows = np.arange(len(label))
    wrong = logits.argmax(1) != label
    fixed = student(files, tmp_path, keep=1)["target_logits"]
    assert (fixed.argmax(1) == logits.argmax(1)).all()
    assert np.array_equal(np.sort(fixed, 1), np.sort(logits, 1))
    assert not np.array_equal(fixed, logits)
    assert (fixed[wrong, label[wrong]] < fixed[wrong].max(1)).all()
    corrected = student(files, tmp_path, keep=1, rest="average", correct=True)["target_logits"]
    assert (corrected.argmax(1) == label).all()
    assert np.array_equal(corrected[rows, label], logits.max(1))
    hybrid = student(files, tmp_path, hybrid=True)["target_logits"]
    order = contents(files["order"])["logits"]
    assert np.array_equal(hybrid.argsort(1), order.argsort(1))
    assert np.array_equal(np.sort(hybrid, 1), np.sort(logits, 1))


def test_a_hybrid_needs_logits_of_the_same_images(files, tmp_path):
    inputs = {"data": files["data"], "teacher": files["other"], "output": str(tmp_path / "order.h5")}
    average_targets(**inputs, epoch=1, **{**KEPT, "validation_seed": 9}, **DRAWS)
    with pytest.raises(StoreError, match="expected logits of the images in"):
        student({**files, "order": str(tmp_path / "order.h5")}, tmp_path, hybrid=True)


def test_a_stopped_student_goes_on_and_ends_in_the_same_bytes(files, tmp_path, monkeypatch, caplog):
    student(files, tmp_path / "whole", keep=1)
    keep = Progress.keep

    def stopping(self, step, arrays):
        keep(self, step, arrays)
        if step == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Progress, "keep", stopping)
        with pytest.raises(KeyboardInterrupt):
            student(files, tmp_path / "stopped", keep=1)
    assert not (tmp_path / "stopped" / "student.h5").exists()
    with caplog.at_level("INFO"):
        student(files, tmp_path / "stopped", keep=1)
    assert "goes on after step 2" in caplog.text
    whole, stopped = (tmp_path / name / "student.h5" for name in ("whole", "stopped"))
    assert whole.read_bytes() == stopped.read_bytes()
    assert [path.name for path in (tmp_path / "stopped").iterdir()] == ["student.h5"]
