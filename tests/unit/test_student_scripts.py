"""Tables and figures of students show what the files hold."""

import csv
from pathlib import Path

import numpy as np
import pytest
import yaml
from matplotlib.colors import to_hex
from scipy import stats

from neighborhoods.statistics.seed_accuracies import share_over_seeds
from pipeline.figures import style
from pipeline.results.shared import put_summary
from pipeline.store import Provenance, StoreError, writing
from scripts.figures import distillation_losses, manipulated_logits, teacher_epochs
from scripts.tables import logit_accuracies, training_times

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = str(ROOT / "published" / "seguin.yaml")
MODULES = (manipulated_logits, teacher_epochs, distillation_losses)


@pytest.fixture
def drawn(monkeypatch):
    """Figures that scripts save."""
    kept = []

    def keep(picture, outputs):
        style.save(picture, outputs)
        kept.append(picture)

    for module in MODULES:
        monkeypatch.setattr(module, "save", keep)
    return kept


@pytest.fixture
def network(tmp_path):
    """Writes the robustness of a network: counts of images that are right under attack by seed, and returns the path."""

    def written(name, counts, images=200, mistakes=20, checks=None):
        broken = np.ones((len(counts), images), int)
        for row, count in zip(broken, counts, strict=True):
            row[:count] = 0
            row[images - mistakes :] = -1
        path = tmp_path / f"{name}.h5"
        with writing(path, Provenance()) as file:
            file.put("broken_by", broken, "attack", ("seed", "image"))
            for of, hits in (("natural", broken >= 0), ("adversarial", broken == 0)):
                over = share_over_seeds(hits)
                limits = {"mean": over.value, "mean_low": over.low, "mean_high": over.high}
                put_summary(file, of, limits | {"n": images, "seeds": len(counts)}, of, "1")
                file.put(f"{of}/measured", hits.mean(1), of, ("seed",))
            for of, mean in (checks or {}).items():
                put_summary(file, f"check/{of}", {"mean": mean, "n": 20}, of, "1")
        return str(path)

    return written


@pytest.fixture
def student(tmp_path):
    def written(name, target, losses=(0.5, 0.05)):
        path = tmp_path / f"student-{name}.h5"
        with writing(path, Provenance()) as file:
            file.put("target_logits", target, "logits", ("image", "class"))
            for loss, value in zip(("l1", "kl"), losses, strict=True):
                file.put(f"history/{loss}", [9.0, value], loss, ("epoch",))
        return str(path)

    return written


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_accuracies_stand_beside_the_published_ones(tmp_path, network):
    paths = [network("normal", (80, 90, 100)), network("fix-3", (0, 0, 0)), None]
    paths[2] = network("wide", (60, 61, 60), checks={"apgd": 0.7, "autoattack": 0.65, "odi": 0.6})
    common = {"study": "s", "teacher_epoch": 5, "scale": "mnist5k, small, 25 epochs, 3 seeds"}
    networks = [
        {"network": "normal", "published": ["CIFAR-10", "normal"], "as_published": False, **common},
        {"network": "fix-3", "published": None, "as_published": False, **common},
        {"network": "normal", "published": ["CIFAR-10", "normal"], "as_published": True, **common},
    ]
    output = tmp_path / "table.csv"
    settings = {"published": PUBLISHED, "published_table": "table2"}
    logit_accuracies.tabulate(robustness=paths, output=str(output), networks=networks, **settings)
    first, second, third = rows_of(output)
    assert float(first["adversarial_pct"]) == pytest.approx(45.0)
    assert float(first["natural_pct"]) == pytest.approx(90.0)
    assert first["adversarial_by_seed"] == "40 45 50"
    assert (first["images"], first["seeds"], first["teacher_epoch"]) == ("200", "3", "5")
    assert (float(first["published_adversarial_pct"]), float(first["published_adversarial_sd"])) == (30.4, 0.34)
    assert float(first["adversarial_less_published"]) == pytest.approx(45.0 - 30.4)
    assert float(first["natural_less_published"]) == pytest.approx(90.0 - 75.2)
    assert float(first["adversarial_low"]) < 40 < 50 < float(first["adversarial_high"])
    words = "mnist5k, small, 25 epochs, 3 seeds, 200 test images"
    assert first["scale"] == f"{words}: no reproduction of CIFAR-10"
    # No survivor leaves the exact interval of the images, and no published line leaves its columns empty.
    assert float(second["adversarial_high"]) == pytest.approx(100 * (1 - 0.025 ** (1 / 200)))
    assert (second["published_adversarial_pct"], second["adversarial_less_published"]) == ("", "")
    assert second["scale"] == words
    assert third["scale"] == f"{words}: trained as the source's on CIFAR-10"
    of_checked = [f"{of}_pct_of_checked" for of in ("apgd", "autoattack", "odi")]
    assert [float(third[key]) for key in of_checked] == pytest.approx([70, 65, 60])
    assert (third["checked_images"], first["checked_images"], first["odi_pct_of_checked"]) == ("20", "0", "")


def test_every_published_number_can_be_tabulated():
    numbers = yaml.safe_load(Path(PUBLISHED).read_text())
    for table, lines in (("table1", 2), ("table2", 4)):
        for dataset in numbers[table].values():
            assert len(dataset) == lines
            for line in dataset.values():
                assert all(set(line[of]) == {"value", "deviation"} for of in ("natural", "adversarial"))
    assert numbers["table3"]["CIFAR-10"] == {"standard": 1.66, "adversarial": 18.0, "distillation": 3.83}


def test_times_are_those_that_snakemake_measured(tmp_path):
    seconds = [10.0, 12.0, 14.0, 3600.0]
    times = []
    for number, value in enumerate(seconds):
        times.append(str(tmp_path / f"{number}.tsv"))
        Path(times[-1]).write_text(f"s\th:m:s\n{value}\t0:00:00\n")
    common = {"study": "s", "rule": "train_teacher", "scale": "small"}
    rows = [
        {**common, "what": "standard", "jobs": 3, "published": ["CIFAR-10", "standard"]},
        {**common, "what": "outputs", "jobs": 1, "published": None},
    ]
    settings = {"published": PUBLISHED, "output": str(tmp_path / "table.csv")}
    training_times.tabulate(times=times, rows=rows, **settings)
    first, second = rows_of(tmp_path / "table.csv")
    low, high = stats.t(2, 12.0, 2 / 3**0.5).interval(0.95)
    found = [float(first[key]) for key in ("seconds", "seconds_low", "seconds_high", "hours", "published_hours")]
    assert found == pytest.approx([12.0, low, high, 12 / 3600, 1.66])
    assert first["published_hardware"].startswith("one Titan Xp")
    assert (second["seconds"], second["hours"], second["published_hours"]) == ("3600.0", "1.0", "")
    with pytest.raises(ValueError, match="expected a time for each of 4 jobs, found 3"):
        training_times.tabulate(times=times[:3], rows=rows, **settings)


def test_manipulated_logits_and_what_they_teach(tmp_path, drawn, network, student):
    logits = np.array([[3.0, 1, 0, -1], [2, 4, 1, 0], [1, 0, 5, 2]], np.float32)
    permuted = np.array([[3.0, -1, 1, 0], [2, 4, 1, 0], [1, 0, 5, 2]], np.float32)
    targets = tmp_path / "targets.h5"
    with writing(targets, Provenance()) as file:
        file.put("logits", logits, "logits", ("image", "class"))
        file.put("label", [0, 0, 2], "labels", ("image",))
    kept = {"keep": None, "rest": "permute", "correct": False}
    networks = {
        "fix-3": (kept | {"keep": 3}, (60, 61, 62)),
        "normal": (kept, (80, 81, 82)),
        "fix-1": (kept | {"keep": 1}, (40, 41, 42)),
        "correct-fix-1": (kept | {"keep": 1, "correct": True}, (1, 2, 3)),
    }
    arguments = {
        "targets": str(targets),
        "students": [student("fix-1", permuted)],
        "shown": ["permute"],
        "robustness": [network(name, counts) for name, (_, counts) in networks.items()],
        "networks": [{"name": name, **settings} for name, (settings, _) in networks.items()],
        "teacher": network("teacher", (100, 110, 120)),
        "outputs": [str(tmp_path / "figure.png")],
        "style": "paper",
    }
    manipulated_logits.draw(**arguments)
    (picture,) = drawn
    assert (tmp_path / "figure.png").stat().st_size > 10000
    # Right (the first image) and wrong (the second), before and after.
    right, after, wrong, _, curves = picture.axes
    assert [bar.get_height() for bar in right.patches] == logits[0].tolist()
    assert [bar.get_height() for bar in after.patches] == permuted[0].tolist()
    assert [bar.get_height() for bar in wrong.patches] == logits[1].tolist()
    blue, pink, grey = "#56b4e9", "#cc79a7", "#595959"
    assert [to_hex(bar.get_facecolor()) for bar in after.patches] == [blue, pink, pink, pink]
    assert [to_hex(bar.get_facecolor()) for bar in wrong.patches] == [blue, grey, grey, grey]
    (line,) = [line for line in curves.lines if len(line.get_xdata()) == 2 and line.get_marker() == "o"]
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == (
        [1, 3],
        [pytest.approx(20.5), pytest.approx(30.5)],
    )
    arguments["students"] = [student("short", permuted[:2])]
    with pytest.raises(StoreError, match=r"expected logits of shape \(3, 4\), found \(2, 4\)"):
        manipulated_logits.draw(**arguments)


def test_accuracies_over_the_teachers_epoch(tmp_path, drawn, network):
    teachers = [network("t5", (90, 92, 94)), network("t9", (100, 101, 102))]
    students = [network("s5", (60, 61, 62)), network("s9", (0, 0, 0))]
    teacher_epochs.draw(
        **{"students": students, "student_epochs": [5, 9], "teachers": teachers, "teacher_epochs": [5, 9]},
        outputs=[str(tmp_path / "figure.png")],
        style="paper",
    )
    below = drawn[0].axes[1]
    found = [line.get_ydata().tolist() for line in below.lines if line.get_marker() in ("o", "s")]
    assert found == [[pytest.approx(46.0), pytest.approx(50.5)], [pytest.approx(30.5), 0.0]]
    with pytest.raises(StoreError, match="as many seeds"):
        teacher_epochs.draw(
            **{"students": [network("few", (1, 2))], "student_epochs": [5], "teacher_epochs": [5]},
            teachers=[students[0], network("two", (1, 2))],
            outputs=[],
            style="paper",
        )


def test_losses_over_the_teachers_epoch(tmp_path, drawn, network, student):
    networks, paths, students = [], [], []
    for name, loss, epoch, ends in (
        ("kl-9", "kl", 9, (0.8, 0.03)),
        ("l1-9", "l1", 9, (0.2, 0.02)),
        ("l1-5", "l1", 5, (0.1, 0.01)),
        ("kl-5", "kl", 5, (0.4, 0.04)),
    ):
        networks.append({"name": name, "loss": loss, "epoch": epoch})
        paths.append(network(name, (epoch, 2 * epoch, 3 * epoch)))
        students += [student(f"{name}-{seed}", np.zeros((2, 2)), ends) for seed in range(3)]
    arguments = {"networks": networks, "outputs": [str(tmp_path / "figure.png")], "style": "paper"}
    distillation_losses.draw(robustness=paths, students=students, **arguments)
    _, attacked, by_l1, by_kl = drawn[0].axes
    lines = [line for line in attacked.lines if line.get_marker() in ("o", "s")]
    assert [line.get_ydata().tolist() for line in lines] == [[pytest.approx(5.0), pytest.approx(9.0)]] * 2
    assert [line.get_ydata().tolist() for line in by_l1.lines] == [[0.1, 0.2]] * 3 + [[0.4, 0.8]] * 3
    assert [line.get_ydata().tolist() for line in by_kl.lines] == [[0.01, 0.02]] * 3 + [[0.04, 0.03]] * 3
    # The second loss drawn must not be cut by limits set for the first.
    assert by_l1.get_ylim()[1] > 0.8
