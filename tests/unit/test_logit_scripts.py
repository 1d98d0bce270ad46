"""The analyses of logits on small stored networks' outputs, and their figures."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.text import Text
from scipy import stats

from neighborhoods.logits.confidence_ranks import confidence
from neighborhoods.logits.distributions import logit_gap
from pipeline.figures import style
from pipeline.results.shared import put_split
from pipeline.store import Provenance, StoreError, reading, writing
from scripts.figures import (
    confident_images,
    gap_epochs,
    logit_gaps,
    max_logits,
    nearest_by_logits,
    network_disagreement,
    overlap,
)
from scripts.logits import compare_answers, compare_images, describe

CLASSES, TRAIN, TEST, EPOCHS = 5, 60, 80, [1, 4]
LEVEL = {"confidence": 0.95, "provenance": Provenance()}
EPOCH = {"standard": 4, "adversarial": 4}
FIGURES = {
    max_logits: ["distributions"],
    gap_epochs: ["distributions"],
    logit_gaps: ["distributions"],
    overlap: ["answers"],
    network_disagreement: ["images", "answers"],
    confident_images: ["images"],
    nearest_by_logits: ["images"],
}


def put_networks(folder, teacher, seeds, label, scale, generator, order):
    """Outputs of networks that share how sure they are of each image, and what an attack makes of them."""
    logits = {}
    for split, truth in label.items():
        shared = generator.normal(size=(len(truth), CLASSES)) + 2 * np.eye(CLASSES)[truth]
        own = generator.normal(size=(seeds, len(EPOCHS), len(truth), CLASSES))
        logits[split] = (scale * (shared + 0.4 * own)).astype(np.float32)
    with writing(folder / f"{teacher}.h5", Provenance()) as file:
        for split, truth in label.items():
            file.put(f"{split}/logits", logits[split], "logits", ("seed", "epoch", "image", "class"))
            file.put(f"{split}/label", truth, "classes", ("image",))
        file.put("epochs", EPOCHS, "epochs", ("epoch",))
        file.put("seeds", np.arange(seeds), "seeds", ("seed",))
    index = order[:50]
    natural = logits["test"][:, -1, index]
    adversarial = natural + generator.normal(size=natural.shape).astype(np.float32) * 2
    truth = label["test"][index]
    right, stays = (z.argmax(-1) == truth for z in (natural, adversarial))
    with writing(folder / f"{teacher}-attacked.h5", Provenance()) as file:
        file.put("logits", natural, "logits", ("seed", "image", "class"))
        file.put("adversarial_logits", adversarial, "logits", ("seed", "image", "class"))
        file.put("broken_by", np.where(~right, -1, np.where(stays, 0, 1)), "attack", ("seed", "image"))
        file.put("label", truth, "classes", ("image",))
        file.put("index", index, "positions", ("image",))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Three networks trained in each way, and everything that is worked out from them."""
    folder, generator = tmp_path_factory.mktemp("study"), np.random.default_rng(0)
    label = {"train": generator.integers(0, CLASSES, TRAIN), "test": np.arange(TEST) % CLASSES}
    with writing(folder / "data.h5", Provenance()) as file:
        file.put("classes", [f"class {c}" for c in range(CLASSES)], "names", ("class",))
        for split, truth in label.items():
            images = generator.integers(0, 256, (len(truth), 1, 12, 12)).astype(np.uint8)
            put_split(file, split, images, truth, generator)
    with reading(folder / "data.h5") as file:
        order = file.read("order_test")
    for teacher, scale in (("standard", 3.0), ("adversarial", 1.0)):
        put_networks(folder, teacher, 3, label, scale, generator, order)
    analyse(folder, folder)
    return folder


def sources(folder, attacked=True):
    names = ("standard", "adversarial")
    found = {name: str(folder / f"{name}.h5") for name in names}
    return found | ({f"{name}_attacked": str(folder / f"{name}-attacked.h5") for name in names} if attacked else {})


def analyse(folder, target):
    common = {"teacher_epoch": EPOCH, **LEVEL}
    describe.describe(
        **sources(folder), output=str(target / "distributions.h5"), bins=20, accuracy_bins=4, threshold=5.0, **common
    )
    compare_answers.compare(**sources(folder), output=str(target / "answers.h5"), exchanges=2, seed=0, **common)
    compare_images.compare(
        data=str(folder / "data.h5"), **sources(folder, attacked=False), output=str(target / "images.h5"),
        shown_class=2, shown=9, queries=30, neighbours=5, seed=0, **common,
    )  # fmt: skip


def test_distributions_are_those_of_the_stored_logits(study):
    with reading(study / "distributions.h5") as file, reading(study / "adversarial.h5") as outputs:
        gap = logit_gap(outputs.read("test/logits"))
        np.testing.assert_allclose(file.read("adversarial/test/gap/mean/value"), gap.mean((0, 2)))
        np.testing.assert_allclose(file.read("adversarial/test/gap/skewness/value"), stats.skew(gap, axis=2).mean(0))
        np.testing.assert_allclose(file.read("adversarial/test/gap/above/value"), (gap > 5).mean((0, 2)))
        edges = file.read("edges/gap")
        np.testing.assert_allclose(
            file.read("adversarial/test/gap/histogram")[1],
            np.mean([np.histogram(row, edges)[0] for row in gap[:, 1]], axis=0) / TEST,
        )
        # Epoch 4 stands for both: the difference of teachers is that at the last checkpoint.
        for part in ("mean", "skewness"):
            at_last = file.read(f"difference/test/max_logit/{part}/value")[-1]
            assert file.read(f"teachers/test/max_logit/{part}/value") == pytest.approx(at_last)
        assert file.read("teachers/test/gap/mean/high") < 0
        assert file.read("teachers/test/gap/mean/networks") == 6
        assert file.read("train_less_test/standard/gap/mean/n") == TRAIN + TEST
        with reading(study / "adversarial-attacked.h5") as attacked:
            survives = attacked.read("broken_by") == 0
        shares, n = file.read("by_gap/adversarial/share"), file.read("by_gap/adversarial/n")
        np.testing.assert_allclose((shares * n).sum(1), survives.sum(1))


def test_answers_and_images_are_those_of_the_stored_logits(study):
    logits = {}
    for teacher in EPOCH:
        with reading(study / f"{teacher}.h5") as file:
            logits[teacher], label = file.read("test/logits")[:, -1], file.read("test/label")
    with reading(study / "answers.h5") as file:
        wrong = file.read("wrong/natural/standard/n")
        np.testing.assert_array_equal(wrong, (logits["standard"].argmax(-1) != label).sum(1))
        # AO@1 is the share of images with equal answers.
        agree = np.mean([a.argmax(1) == b.argmax(1) for a in logits["adversarial"] for b in logits["standard"]])
        assert file.read("overlap/same/mixed/value")[0] == pytest.approx(agree)
        apart = file.read("overlap/same/mixed/value") - file.read("overlap/same/adversarial/value")
        np.testing.assert_allclose(file.read("overlap/same/mixed_less_adversarial/value"), apart)
    with reading(study / "images.h5") as file:
        rows = file.read("corners/both_high/index")
        assert (label[rows] == 2).all()
        ranks = [file.read(f"ranks/{name}").mean(0) for name in EPOCH]
        best = (ranks[0] + ranks[1])[label == 2].max()
        assert (ranks[0] + ranks[1])[rows[0]] == pytest.approx(best)
        surest = confidence(logits["standard"][0])[label == 2].argmax()
        assert file.read("ranks/standard")[0, label == 2][surest] == 1
        near, query = file.read("nearest/standard/index"), file.read("nearest/query")
        assert not (near == query[:, None]).any()
        shares = (label[near] == label[query][:, None]).mean((0, 1, 2))
        assert file.read("nearest/standard/same_class/value") == pytest.approx(shares)
        shown = file.read("nearest/shown")
        assert len(set(label[query[shown]])) == CLASSES


def test_equal_runs_give_equal_bytes(study, tmp_path):
    analyse(study, tmp_path)
    for name in ("distributions", "answers", "images"):
        assert (tmp_path / f"{name}.h5").read_bytes() == (study / f"{name}.h5").read_bytes()


def test_outputs_must_fit_together(study, tmp_path):
    with pytest.raises(StoreError, match="expected a checkpoint of epoch 3, found"):
        describe.describe(
            **sources(study), output=str(tmp_path / "o.h5"), bins=5, accuracy_bins=2, threshold=5.0,
            teacher_epoch={**EPOCH, "standard": 3}, **LEVEL,
        )  # fmt: skip
    generator = np.random.default_rng(1)
    label = {"train": np.zeros(9, np.int64), "test": np.arange(60) % CLASSES}
    put_networks(tmp_path, "adversarial", 3, label, 1.0, generator, np.arange(60))
    mixed = {"standard": str(study / "standard.h5"), "adversarial": str(tmp_path / "adversarial.h5")}
    settings = {"shown_class": 0, "shown": 1, "queries": 5, "neighbours": 2, "seed": 0, "teacher_epoch": EPOCH, **LEVEL}
    with pytest.raises(StoreError, match="holds other images"):
        compare_images.compare(data=str(study / "data.h5"), output=str(tmp_path / "o.h5"), **mixed, **settings)
    put_networks(tmp_path, "standard", 3, label, 1.0, generator, np.arange(60))
    with pytest.raises(StoreError, match="other test images than"):
        compare_images.compare(
            data=str(study / "data.h5"), output=str(tmp_path / "o.h5"), **sources(tmp_path, attacked=False), **settings
        )


def test_a_class_that_is_not_there_cannot_be_shown(study, tmp_path):
    with pytest.raises(StoreError, match="expected a class to show of 0 to 4, found 6"):
        compare_images.compare(
            data=str(study / "data.h5"), **sources(study, attacked=False), output=str(tmp_path / "images.h5"),
            shown_class=6, shown=9, queries=30, neighbours=5, seed=0, teacher_epoch=EPOCH, **LEVEL,
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_queries_without_a_distance_are_left_out_for_all_networks(study, tmp_path):
    """One image is there twice, which the adversarial networks alone take for the nearest."""
    with reading(study / "data.h5") as file:
        arrays = {split: (file.read(f"x_{split}"), file.read(f"y_{split}")) for split in ("train", "test")}
        classes, order = file.read("classes"), file.read("order_test")
    arrays["test"][0][order[1]] = arrays["test"][0][order[0]]
    with writing(tmp_path / "data.h5", Provenance()) as file:
        file.put("classes", classes, "names", ("class",))
        for split, (x, y) in arrays.items():
            put_split(file, split, x, y, np.random.default_rng(0))
    label = {split: y for split, (_, y) in arrays.items()}
    for teacher in EPOCH:
        put_networks(tmp_path, teacher, 3, label, 1.0, np.random.default_rng(len(teacher)), order)
    twin = tmp_path / "adversarial.h5"
    with reading(twin) as file:
        stored = {name: (file.read(name), json.loads(file._file[name].attrs["dims"])) for name in file.names()}
    stored["test/logits"][0][:, :, order[1]] = stored["test/logits"][0][:, :, order[0]]
    with writing(twin, Provenance()) as file:
        for name, (values, dims) in stored.items():
            file.put(name, values, name, dims)
    compare_images.compare(
        data=str(tmp_path / "data.h5"), **sources(tmp_path, attacked=False), output=str(tmp_path / "images.h5"),
        shown_class=2, shown=3, queries=len(label["test"]), neighbours=1, seed=0, teacher_epoch=EPOCH, **LEVEL,
    )  # fmt: skip
    with reading(tmp_path / "images.h5") as file:
        known = {name: np.isfinite(file.read(f"nearest/{name}/log_distance/by_query")) for name in EPOCH}
        assert known["standard"].all()
        assert (~known["adversarial"]).sum() == 2 * 3
        for name in (*EPOCH, "difference"):
            assert file.read(f"nearest/{name}/log_distance/n") == len(label["test"]) - 2
            assert file.read(f"nearest/{name}/same_class/n") == len(label["test"])


def test_small_images_have_no_border(study, tmp_path):
    for path in study.glob("*ar*.h5"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with reading(study / "data.h5") as file, writing(tmp_path / "data.h5", Provenance()) as target:
        for name in ("classes", "x_train", "y_train", "order_train", "y_test", "order_test"):
            file.copy_to(name, target._file)
        target.put("x_test", file.read("x_test")[..., :8, :8], "images", ("image", "channel", "row", "column"))
    compare_images.compare(
        data=str(tmp_path / "data.h5"), **sources(tmp_path, attacked=False), output=str(tmp_path / "images.h5"),
        shown_class=2, shown=9, queries=30, neighbours=5, seed=0, teacher_epoch=EPOCH, **LEVEL,
    )  # fmt: skip
    with reading(tmp_path / "images.h5") as small, reading(study / "images.h5") as large:
        missing = {name.split("/")[0] for name in set(large.names()) - set(small.names())}
        assert missing == {"border"}


@pytest.mark.parametrize("module", FIGURES, ids=lambda module: module.__name__.split(".")[-1])
def test_figures_are_readable_in_a_column(study, tmp_path, monkeypatch, module):
    sizes = []
    save = style.save

    def keep(picture, outputs):
        save(picture, outputs)
        assert picture.get_figwidth() == plt.rcParams["figure.figsize"][0]
        sizes.extend(text.get_fontsize() for text in picture.findobj(Text) if text.get_text() and text.get_visible())

    monkeypatch.setattr(module, "save", keep)
    files = {name: str(study / f"{name}.h5") for name in FIGURES[module]}
    module.draw(**files, outputs=[str(tmp_path / "figure.png")], style="paper")
    assert (tmp_path / "figure.png").stat().st_size > 5000
    assert min(sizes) >= 7


def test_two_seeds_leave_single_pairs_without_interval(study, tmp_path):
    with reading(study / "data.h5") as file:
        label = {split: file.read(f"y_{split}") for split in ("train", "test")}
        order = file.read("order_test")
    (tmp_path / "data.h5").write_bytes((study / "data.h5").read_bytes())
    for teacher in EPOCH:
        put_networks(tmp_path, teacher, 2, label, 1.0, np.random.default_rng(2), order)
    analyse(tmp_path, tmp_path)
    with reading(tmp_path / "answers.h5") as file:
        assert np.isnan(file.read("overlap/same/adversarial/low")).all()
        assert np.isfinite(file.read("overlap/same/mixed/low")).all()
    for module in (overlap, network_disagreement):
        files = {name: str(tmp_path / f"{name}.h5") for name in FIGURES[module]}
        module.draw(**files, outputs=[str(tmp_path / "figure.png")], style="paper")


def test_images_of_points_are_not_drawn(study, tmp_path):
    with reading(study / "images.h5") as file, writing(tmp_path / "images.h5", Provenance()) as target:
        for group in ("ranks", "label", "classes", "shown_class"):
            file.copy_to(group, target._file)
    with pytest.raises(StoreError, match="expected images below"):
        confident_images.draw(images=str(tmp_path / "images.h5"), outputs=[str(tmp_path / "f.png")], style="paper")
